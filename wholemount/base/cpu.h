#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wholemount {

/// Instruction sets kernels are compiled for. A better one is never mixed into a run that was
/// asked to use a lesser one, so results are a function of (inputs, seed, Isa).
enum class Isa { portable, avx2, avx512 };

[[nodiscard]] std::string_view isa_name(Isa isa);

/// The best instruction set both this CPU and its operating system support:
/// avx512 = F+BW+DQ+VL, avx2 = AVX2+FMA.
[[nodiscard]] Isa best_isa();

/// Which convolution algorithms may be chosen: the fastest by estimate, or (tests, benchmarks) only
/// direct ones, or Winograd with the named tile wherever it is defined, however unfavourable:
/// winograd4 = F(4,4,4), winograd24 = F(2,4,4), winograd2 = F(2,2,2); for kernels of one tap along
/// d the same without d, and for five taps along h and w F(6,6), F(4,4) and F(2,2).
enum class Convolution { best, direct, winograd2, winograd24, winograd4 };

/// What kernels are chosen for. Never contains the number of threads or a memory budget: kernel
/// choice depends on shapes and instruction set only.
struct Target {
  Isa isa = best_isa();
  /// Forces the plain-loop reference kernels (tests; float64 tensors always use them).
  bool reference = false;
  Convolution convolution = Convolution::best;
};

/// The CPU numbers of the process's affinity mask as it was at the first call, in rising order;
/// pinning threads later does not change it. Empty when the kernel does not tell.
[[nodiscard]] const std::vector<int>& process_cpus();

/// Number of CPUs this process may run on (affinity mask and cgroup quota respected), >= 1.
[[nodiscard]] int usable_cpus();

/// Marketing name of the CPU, e.g. "Intel(R) Xeon(R) Processor".
[[nodiscard]] std::string cpu_model();

/// To be called after stores past the caches (F16::stream), before another thread reads them: it
/// would see them in any order otherwise.
void stream_fence();

}  // namespace wholemount
