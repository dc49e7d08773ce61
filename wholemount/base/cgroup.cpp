#include "wholemount/base/cgroup.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <sstream>

namespace wholemount {

namespace {

// cgroup v1 writes "no limit" as the largest multiple of the page size that fits in int64.
constexpr double kNoLimitBytes = 4.0e18;

std::optional<double> read_number(const std::string& path) {
  std::ifstream file(path);
  double value = 0;
  if (file >> value) return value;
  return std::nullopt;  // absent, or "max"
}

double read_statistic(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  double value = 0;
  while (file >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

template <class T>
void tighten(std::optional<T>& limit, T value) {
  limit = limit ? std::min(*limit, value) : value;
}

void tighten_memory(CgroupLimits& limits, std::optional<double> limit, std::optional<double> used,
                    double droppable) {
  if (!limit || *limit >= kNoLimitBytes) return;
  const double left = std::max(0.0, *limit - std::max(0.0, used.value_or(0) - droppable));
  tighten(limits.available_memory_bytes, static_cast<size_t>(left));
}

void read_v2_group(const std::string& folder, CgroupLimits& limits) {
  std::ifstream cpu_max(folder + "/cpu.max");
  double quota = 0;
  double period = 0;
  if (cpu_max >> quota >> period && period > 0) tighten(limits.cpus, quota / period);
  tighten_memory(limits, read_number(folder + "/memory.max"),
                 read_number(folder + "/memory.current"),
                 read_statistic(folder + "/memory.stat", "inactive_file"));
}

void read_v1_cpu_group(const std::string& folder, CgroupLimits& limits) {
  const double quota = read_number(folder + "/cpu.cfs_quota_us").value_or(-1);
  const double period = read_number(folder + "/cpu.cfs_period_us").value_or(0);
  if (quota > 0 && period > 0) tighten(limits.cpus, quota / period);
}

void read_v1_memory_group(const std::string& folder, CgroupLimits& limits) {
  tighten_memory(limits, read_number(folder + "/memory.limit_in_bytes"),
                 read_number(folder + "/memory.usage_in_bytes"),
                 read_statistic(folder + "/memory.stat", "total_inactive_file"));
}

// Visits mount + group and every ancestor up to the mount itself. Inside a container the group's
// path may not be visible under the mount; then only the mount (the container's own group) counts.
template <class Read>
void visit_ancestors(const std::string& mount, std::string group, Read read, CgroupLimits& limits) {
  while (!group.empty() && group != "/") {
    read(mount + group, limits);
    group.erase(group.rfind('/'));
  }
  read(mount, limits);
}

bool lists(const std::string& comma_separated, const std::string& word) {
  return ("," + comma_separated + ",").find("," + word + ",") != std::string::npos;
}

}  // namespace

CgroupLimits read_cgroup_limits(const std::string& membership_file, const std::string& mount) {
  CgroupLimits limits;
  std::ifstream membership(membership_file);
  std::string line;
  while (std::getline(membership, line)) {
    // hierarchy-ID:controller-list:path; the controller list of v2 is empty.
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos || second + 1 >= line.size() || line[second + 1] != '/') {
      continue;
    }
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      visit_ancestors(mount, group, read_v2_group, limits);
      visit_ancestors(mount + "/unified", group, read_v2_group, limits);
    }
    if (lists(controllers, "cpu")) {
      visit_ancestors(mount + "/cpu", group, read_v1_cpu_group, limits);
    }
    if (lists(controllers, "memory")) {
      visit_ancestors(mount + "/memory", group, read_v1_memory_group, limits);
    }
  }
  return limits;
}

}  // namespace wholemount
