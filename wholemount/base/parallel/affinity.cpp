#include "wholemount/base/parallel/affinity.h"

#include <sched.h>

#include <algorithm>
#include <cstddef>

namespace wholemount {

namespace {

// A CPU set of any size: the fixed cpu_set_t ends at 1,024 CPUs.
class CpuSet {
 public:
  explicit CpuSet(int capacity)
      : set_(CPU_ALLOC(static_cast<size_t>(capacity))),
        bytes_(CPU_ALLOC_SIZE(static_cast<size_t>(capacity))) {
    if (set_ != nullptr) CPU_ZERO_S(bytes_, set_);
  }
  ~CpuSet() { CPU_FREE(set_); }
  CpuSet(const CpuSet&) = delete;
  CpuSet& operator=(const CpuSet&) = delete;

  [[nodiscard]] cpu_set_t* set() const { return set_; }
  [[nodiscard]] size_t bytes() const { return bytes_; }
  void add(int cpu) { CPU_SET_S(static_cast<size_t>(cpu), bytes_, set_); }
  [[nodiscard]] bool contains(int cpu) const {
    return CPU_ISSET_S(static_cast<size_t>(cpu), bytes_, set_);
  }

 private:
  cpu_set_t* set_;
  size_t bytes_;
};

}  // namespace

std::vector<int> thread_affinity() {
  std::vector<int> cpus;
  // The kernel refuses a set smaller than its own with EINVAL, hence the growing size.
  for (int capacity = 1024; capacity <= 65536; capacity *= 4) {
    const CpuSet set(capacity);
    if (set.set() == nullptr) break;
    if (sched_getaffinity(0, set.bytes(), set.set()) != 0) continue;
    for (int cpu = 0; cpu < capacity; ++cpu) {
      if (set.contains(cpu)) cpus.push_back(cpu);
    }
    break;
  }
  return cpus;
}

void set_thread_affinity(const std::vector<int>& cpus) {
  if (cpus.empty()) return;
  CpuSet set(*std::max_element(cpus.begin(), cpus.end()) + 1);
  if (set.set() == nullptr) return;
  for (const int cpu : cpus) set.add(cpu);
  sched_setaffinity(0, set.bytes(), set.set());
}

}  // namespace wholemount
