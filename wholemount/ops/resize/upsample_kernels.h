#pragma once

#include <memory>

#include "wholemount/graph/op.h"
#include "wholemount/ops/resize/upsample.h"

namespace wholemount {

/// Inputs {x}, outputs {y}.
[[nodiscard]] std::shared_ptr<const Kernel> make_upsample_kernel(const UpsampleSpec& spec,
                                                                 const PrepareContext& context);
/// Inputs {grad_y}, outputs {grad_x}.
[[nodiscard]] std::shared_ptr<const Kernel> make_upsample_backward_kernel(
    const UpsampleSpec& spec, const PrepareContext& context);

/// Plain loops; not streamable.
[[nodiscard]] std::shared_ptr<const Kernel> make_upsample_reference(const UpsampleSpec& spec,
                                                                    const PrepareContext& context);
[[nodiscard]] std::shared_ptr<const Kernel> make_upsample_backward_reference(
    const UpsampleSpec& spec, const PrepareContext& context);

}  // namespace wholemount
