#include "wholemount/base/cpu.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <fstream>

#include "wholemount/base/cgroup.h"
#include "wholemount/base/parallel/affinity.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace wholemount {

namespace {

#if defined(__x86_64__)

struct CpuidLeaf {
  uint32_t eax = 0;
  uint32_t ebx = 0;
  uint32_t ecx = 0;
  uint32_t edx = 0;
};

CpuidLeaf read_cpuid(uint32_t leaf) {
  CpuidLeaf r;
  // Leaves the result zero (no feature) when the CPU does not have the leaf.
  __get_cpuid_count(leaf, 0, &r.eax, &r.ebx, &r.ecx, &r.edx);
  return r;
}

// Extended control register 0: which register states the operating system saves and restores.
uint64_t read_xcr0() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<uint64_t>(high) << 32) | low;
}

constexpr bool has_all(uint64_t bits, uint64_t wanted) { return (bits & wanted) == wanted; }

// Bit positions: Intel SDM volume 2A, CPUID; volume 1, section 13.3 (XCR0).
Isa detect_isa() {
  const CpuidLeaf basic = read_cpuid(1);
  const uint64_t osxsave_fma_avx = (1U << 27) | (1U << 12) | (1U << 28);
  if (!has_all(basic.ecx, osxsave_fma_avx)) return Isa::portable;
  const uint64_t xcr0 = read_xcr0();
  const CpuidLeaf extended = read_cpuid(7);
  const uint64_t sse_and_avx_state = 0x6;
  if (!has_all(xcr0, sse_and_avx_state) || !has_all(extended.ebx, 1U << 5)) return Isa::portable;
  const uint64_t avx512_state = 0xe0;
  const uint64_t f_dq_bw_vl = (1U << 16) | (1U << 17) | (1U << 30) | (1U << 31);
  if (has_all(xcr0, avx512_state) && has_all(extended.ebx, f_dq_bw_vl)) return Isa::avx512;
  return Isa::avx2;
}

#else

Isa detect_isa() { return Isa::portable; }

#endif

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::portable:
      return "portable";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "?";
}

Isa best_isa() {
  static const Isa isa = detect_isa();
  return isa;
}

const std::vector<int>& process_cpus() {
  static const std::vector<int> cpus = thread_affinity();
  return cpus;
}

int usable_cpus() {
  size_t count = process_cpus().size();
  if (count == 0) count = 1;
  static const CgroupLimits limits = read_cgroup_limits();
  if (limits.cpus) {
    // A quota of 1.5 CPUs keeps two threads busy most of the time.
    count = std::min(count, static_cast<size_t>(std::max(1.0, std::ceil(*limits.cpus))));
  }
  return static_cast<int>(count);
}

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(':');
    const size_t text = colon == std::string::npos ? colon : line.find_first_not_of(' ', colon + 1);
    if (text != std::string::npos) return line.substr(text);
  }
  return "unknown CPU";
}

void stream_fence() {
#if defined(__x86_64__)
  _mm_sfence();
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace wholemount
