#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "wholemount/nets/network.h"
#include "wholemount/ops/loss/segmentation_loss.h"

namespace wholemount {

/// Forward, loss and backward of some samples of an update, and the values the caller binds or
/// reads.
struct UpdateGraph {
  std::shared_ptr<const Graph> graph;
  std::vector<ValueId> images;   ///< inputs [1, c, d, h, w], one per sample
  std::vector<ValueId> targets;  ///< inputs u8 [1, 1, d, h, w], one per sample
  std::vector<ValueId> logits;   ///< one per sample; not kept
  std::vector<ValueId> losses;   ///< kept scalars, one per sample or one for all (pooled)
  std::vector<ValueId> counts;   ///< kept, one per sample
};

/// Builds the graph of `extents.size()` samples. dtype f64 makes the reference run of tests.
[[nodiscard]] UpdateGraph build_update_graph(const Network& network,
                                             const SegmentationLossSpec& loss,
                                             std::span<const Extent3> extents,
                                             DType dtype = DType::f32);

}  // namespace wholemount
