#pragma once

#include <vector>

namespace wholemount {

/// The CPU numbers the calling thread may run on; empty when the kernel does not tell.
[[nodiscard]] std::vector<int> thread_affinity();

/// Restricts the calling thread to these CPUs. A refusal (a cgroup that changed meanwhile) is
/// ignored: pinning is an optimisation.
void set_thread_affinity(const std::vector<int>& cpus);

}  // namespace wholemount
