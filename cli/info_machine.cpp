#include <sys/utsname.h>

#include "cli/info_report.h"
#include "wholemount/base/cgroup.h"
#include "wholemount/base/cpu.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/topology.h"

namespace wholemount::cli {

namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json value_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

void add_cpus(const MachineTopology& topology, InfoReport& report) {
  const std::optional<double> quota = read_cgroup_limits().cpus;
  report.json["cpu"] = cpu_model();
  report.json["isa"] = isa_name(best_isa());
  report.json["usable_cpus"] = usable_cpus();
  report.json["cores"] = value_or_null(topology.cores);
  report.json["sockets"] = value_or_null(topology.sockets);
  report.json["cgroup_cpus"] = value_or_null(quota);

  report.rows.emplace_back("CPU", cpu_model());
  report.rows.emplace_back("instructions", isa_name(best_isa()));
  std::string cpus = std::to_string(usable_cpus()) + " usable";
  if (topology.cores) {
    cpus += ", on " + std::to_string(*topology.cores) + " cores of " +
            std::to_string(*topology.sockets) + " sockets";
  }
  if (quota) cpus += ", cgroup quota " + format_number(*quota);
  report.rows.emplace_back("CPUs", cpus);
}

void add_caches(const MachineTopology& topology, InfoReport& report) {
  report.json["caches"] = Json::array();
  for (const CacheLevel& cache : topology.caches) {
    report.json["caches"].push_back(
        {{"level", cache.level}, {"bytes", cache.bytes}, {"instances", cache.instances}});
    report.rows.emplace_back("L" + std::to_string(cache.level) + " cache",
                             std::to_string(cache.instances) + " x " + format_bytes(cache.bytes));
  }
}

void add_memory(const MachineTopology& topology, InfoReport& report) {
  report.json["numa_nodes"] = Json::array();
  for (const NumaNode& node : topology.nodes) {
    report.json["numa_nodes"].push_back({{"node", node.number},
                                         {"cpus", node.cpus},
                                         {"memory_bytes", node.memory_bytes},
                                         {"free_bytes", node.free_bytes}});
    report.rows.emplace_back("NUMA node " + std::to_string(node.number),
                             std::to_string(node.cpus.size()) + " CPUs, " +
                                 format_bytes(node.memory_bytes) + ", " +
                                 format_bytes(node.free_bytes) + " free");
  }
  const std::optional<size_t> allowed = read_cgroup_limits().available_memory_bytes;
  report.json["memory_bytes"] = total_memory_bytes();
  report.json["available_memory_bytes"] = available_memory_bytes();
  report.json["cgroup_available_memory_bytes"] = value_or_null(allowed);
  report.rows.emplace_back("memory", format_bytes(total_memory_bytes()) + ", " +
                                         format_bytes(available_memory_bytes()) + " available");
  report.rows.emplace_back("cgroup limit",
                           allowed ? format_bytes(*allowed) + " more allowed" : "none");
}

}  // namespace

InfoReport describe_machine() {
  InfoReport report;
  report.kind = "machine";
  report.json["kind"] = "machine";
  const MachineTopology topology = read_topology(process_cpus());
  add_cpus(topology, report);
  add_caches(topology, report);
  add_memory(topology, report);
  utsname system{};
  if (uname(&system) == 0) {
    const std::string kernel = std::string(system.sysname) + " " + system.release;
    report.json["system"] = kernel;
    report.rows.emplace_back("system", kernel);
  }
  return report;
}

}  // namespace wholemount::cli
