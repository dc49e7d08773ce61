#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace wholemount {

/// What control groups (containers, Slurm jobs, systemd slices) allow this process; absent = no
/// limit. The strictest of the group and all its visible ancestors counts.
struct CgroupLimits {
  /// CPU time per wall time, e.g. 1.5.
  std::optional<double> cpus;
  /// Bytes that may still be allocated: limit - usage + page cache that can be dropped.
  std::optional<size_t> available_memory_bytes;
};

/// Reads the limits of cgroup v2 (cpu.max, memory.max) and v1 (cpu.cfs_quota_us,
/// memory.limit_in_bytes; formats: Linux Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst).
/// `membership_file` has the format of /proc/self/cgroup, `mount` is where the hierarchies are
/// mounted; tests pass files of their own. Anything unreadable counts as no limit.
[[nodiscard]] CgroupLimits read_cgroup_limits(
    const std::string& membership_file = "/proc/self/cgroup",
    const std::string& mount = "/sys/fs/cgroup");

}  // namespace wholemount
