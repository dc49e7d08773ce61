#pragma once

#include <memory>

#include "wholemount/ops/loss/segmentation_ops.h"

namespace wholemount {

/// Plain-loop kernels in double. With KernelArgs::decisions the decided voxels of the counts are
/// taken from the float32 twin of the logits.
[[nodiscard]] std::shared_ptr<const Kernel> make_segmentation_sums_reference(
    const PrepareContext& context, const SegmentationSample& sample);
[[nodiscard]] std::shared_ptr<const Kernel> make_segmentation_backward_reference(
    const PrepareContext& context, const SegmentationSample& sample);

}  // namespace wholemount
