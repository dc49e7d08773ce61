#pragma once

#include <memory>

#include "wholemount/graph/op.h"
#include "wholemount/ops/pool/max_pool.h"

namespace wholemount {

/// Inputs {x}, outputs {y}.
[[nodiscard]] std::shared_ptr<const Kernel> make_max_pool_kernel(const PoolSpec& spec,
                                                                 const PrepareContext& context);

/// Inputs {x, grad_y, base or absent}, outputs {grad_x}. `rectified`: maxima that are not > 0 pass
/// no gradient on.
[[nodiscard]] std::shared_ptr<const Kernel> make_max_pool_backward_kernel(
    const PoolSpec& spec, bool rectified, const PrepareContext& context);

/// Plain loops; not streamable.
[[nodiscard]] std::shared_ptr<const Kernel> make_max_pool_reference(const PoolSpec& spec,
                                                                    const PrepareContext& context);
[[nodiscard]] std::shared_ptr<const Kernel> make_max_pool_backward_reference(
    const PoolSpec& spec, bool rectified, const PrepareContext& context);

}  // namespace wholemount
