#pragma once

#include <memory>

#include "wholemount/graph/op.h"

namespace wholemount {

/// Plain-loop kernels of the volume-sized backward operators, in double. With
/// KernelArgs::decisions the sign of z is taken from the float32 twins of x and the statistics.
[[nodiscard]] std::shared_ptr<const Kernel> make_norm_backward_sums_reference(
    const PrepareContext& context, float slope);
[[nodiscard]] std::shared_ptr<const Kernel> make_norm_backward_apply_reference(
    const PrepareContext& context, float slope);

}  // namespace wholemount
