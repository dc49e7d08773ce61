#include "wholemount/base/topology.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <utility>

namespace wholemount {

namespace {

// Far above any machine; keeps a damaged table from filling memory.
constexpr int kMostCpus = 1 << 16;

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<int> read_int(const std::string& path) {
  std::ifstream file(path);
  int value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

// "480K", "4M" or plain bytes.
size_t read_cache_bytes(const std::string& path) {
  std::ifstream file(path);
  size_t value = 0;
  char unit = ' ';
  if (!(file >> value)) return 0;
  file >> unit;
  if (unit == 'K') return value << 10;
  if (unit == 'M') return value << 20;
  return value;
}

// The value in KiB of a line "... name: 123 kB", as bytes.
size_t read_memory_line(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const size_t at = line.find(name + ":");
    if (at == std::string::npos) continue;
    std::istringstream rest(line.substr(at + name.size() + 1));
    size_t kib = 0;
    return rest >> kib ? kib << 10 : 0;
  }
  return 0;
}

void read_cores(const std::vector<int>& cpus, const std::string& devices, MachineTopology& result) {
  std::set<int> sockets;
  std::set<std::pair<int, int>> cores;
  for (const int cpu : cpus) {
    const std::string folder = devices + "/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::optional<int> socket = read_int(folder + "physical_package_id");
    const std::optional<int> core = read_int(folder + "core_id");
    if (!socket || !core) return;
    sockets.insert(*socket);
    cores.insert({*socket, *core});
  }
  if (cores.empty()) return;
  result.cores = static_cast<int>(cores.size());
  result.sockets = static_cast<int>(sockets.size());
}

void read_caches(const std::vector<int>& cpus, const std::string& devices,
                 MachineTopology& result) {
  // One instance is known by the CPUs that share it.
  std::map<std::pair<int, size_t>, std::set<std::string>> instances;
  for (const int cpu : cpus) {
    const std::string folder = devices + "/cpu/cpu" + std::to_string(cpu) + "/cache/index";
    for (int index = 0; std::filesystem::exists(folder + std::to_string(index)); ++index) {
      const std::string cache = folder + std::to_string(index);
      if (read_line(cache + "/type") == "Instruction") continue;
      const std::optional<int> level = read_int(cache + "/level");
      const size_t bytes = read_cache_bytes(cache + "/size");
      if (!level || bytes == 0) continue;
      instances[{*level, bytes}].insert(read_line(cache + "/shared_cpu_list"));
    }
  }
  for (const auto& [kind, sharers] : instances) {
    result.caches.push_back({kind.first, kind.second, sharers.size()});
  }
}

void read_nodes(const std::string& devices, MachineTopology& result) {
  for (const int number : parse_cpu_list(read_line(devices + "/node/online"))) {
    const std::string folder = devices + "/node/node" + std::to_string(number);
    NumaNode node;
    node.number = number;
    node.cpus = parse_cpu_list(read_line(folder + "/cpulist"));
    node.memory_bytes = read_memory_line(folder + "/meminfo", "MemTotal");
    node.free_bytes = read_memory_line(folder + "/meminfo", "MemFree");
    result.nodes.push_back(std::move(node));
  }
}

}  // namespace

std::vector<int> parse_cpu_list(const std::string& text) {
  std::vector<int> cpus;
  std::istringstream in(text);
  int first = 0;
  while (in >> first) {
    int last = first;
    if (in.peek() == '-') {
      in.ignore();
      if (!(in >> last)) break;
    }
    if (first < 0 || last >= kMostCpus) break;
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    if (in.peek() != ',') break;
    in.ignore();
  }
  return cpus;
}

MachineTopology read_topology(const std::vector<int>& cpus, const std::string& devices) {
  MachineTopology result;
  read_cores(cpus, devices, result);
  read_caches(cpus, devices, result);
  read_nodes(devices, result);
  return result;
}

size_t total_memory_bytes(const std::string& meminfo) {
  return read_memory_line(meminfo, "MemTotal");
}

}  // namespace wholemount
