#pragma once

#include <memory>

#include "wholemount/graph/op.h"
#include "wholemount/ops/pool/pool_spec.h"

namespace wholemount {

/// Inputs {x}, outputs {y}.
[[nodiscard]] std::shared_ptr<const Kernel> make_average_pool_kernel(const PoolSpec& spec,
                                                                     const PrepareContext& context);

/// Inputs {grad_y, base or absent}, outputs {grad_x}.
[[nodiscard]] std::shared_ptr<const Kernel> make_average_pool_backward_kernel(
    const PoolSpec& spec, const PrepareContext& context);

/// Plain loops; not streamable.
[[nodiscard]] std::shared_ptr<const Kernel> make_average_pool_reference(
    const PoolSpec& spec, const PrepareContext& context);
[[nodiscard]] std::shared_ptr<const Kernel> make_average_pool_backward_reference(
    const PoolSpec& spec, const PrepareContext& context);

}  // namespace wholemount
