#pragma once

#include <cstdint>
#include <span>

#include "wholemount/graph/kernel.h"

namespace wholemount {

/// What decides how long a kernel runs, whatever its class.
struct KernelWork {
  double flops = 0;
  double bytes = 0;         ///< Kernel::traffic_bytes()
  double shared_bytes = 0;  ///< Kernel::shared_scratch_bytes(): packed or transformed weights, sums
  double phases = 0;
};
[[nodiscard]] KernelWork work_of(const Kernel& kernel);

/// Seconds of one class of kernels (one Kernel::name()) on one machine:
///   per_flop * flops + per_byte * bytes + per_shared_byte * shared_bytes + per_phase * phases
/// Channels, extents and weights weigh differently in these, so that one sum holds from the top of
/// a net, where activations pass by, to its bottom, where weights do.
struct KernelCost {
  double per_flop = 0;
  double per_byte = 0;
  double per_shared_byte = 0;
  double per_phase = 0;

  [[nodiscard]] double seconds(const KernelWork& work) const;
};

struct CostSample {
  KernelWork work;
  double seconds = 0;  ///< measured, > 0
};

/// The costs, none negative, of least sum over the samples of seconds * (predicted / seconds -
/// 1)^2: relative errors, those of long runs counting more. Of two sums about as good the one with
/// fewer terms is taken, for it holds further outside the samples. All zero without samples.
[[nodiscard]] KernelCost fit_kernel_cost(std::span<const CostSample> samples);

}  // namespace wholemount
