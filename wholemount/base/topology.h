#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace wholemount {

/// One kind of cache of the CPUs this process may use. Instruction caches are left out.
struct CacheLevel {
  int level = 1;
  size_t bytes = 0;      ///< of one instance
  size_t instances = 0;  ///< how many of them the process's CPUs reach
};

/// One NUMA node: memory and the CPUs next to it.
struct NumaNode {
  int number = 0;
  std::vector<int> cpus;  ///< all CPUs of the node, rising
  size_t memory_bytes = 0;
  size_t free_bytes = 0;
};

/// Cores, caches and memory nodes as Linux shows them in /sys. What the kernel does not tell (some
/// virtual machines and containers hide it) is empty.
struct MachineTopology {
  std::optional<int> cores;        ///< physical cores among the process's CPUs
  std::optional<int> sockets;      ///< packages among them
  std::vector<CacheLevel> caches;  ///< rising levels
  std::vector<NumaNode> nodes;     ///< rising numbers
};

/// Reads the topology of `cpus` (process_cpus()). `devices` is where the kernel's tables lie; tests
/// pass a folder of their own (formats: Linux Documentation/ABI/stable/sysfs-devices-system-cpu,
/// sysfs-devices-node).
[[nodiscard]] MachineTopology read_topology(const std::vector<int>& cpus,
                                            const std::string& devices = "/sys/devices/system");

/// Reads a list of CPUs as the kernel writes it: "0-3,8,10-11". What is not such a list ends it.
[[nodiscard]] std::vector<int> parse_cpu_list(const std::string& text);

/// Physical memory of the machine (MemTotal); 0 when the kernel does not tell.
[[nodiscard]] size_t total_memory_bytes(const std::string& meminfo = "/proc/meminfo");

}  // namespace wholemount
