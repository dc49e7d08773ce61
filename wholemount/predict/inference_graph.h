#pragma once

#include <memory>
#include <optional>

#include "wholemount/nets/network.h"
#include "wholemount/ops/elementwise/probabilities.h"
#include "wholemount/ops/loss/segmentation_loss.h"

namespace wholemount {

/// What a forward graph computes beside the logits.
struct InferenceSpec {
  TargetKind target = TargetKind::classes;
  /// Set for validation: the loss and the counts against a target are computed too.
  std::optional<SegmentationLossSpec> loss;
  bool probabilities = false;  ///< keep probabilities as a float32 tensor
  bool labels = false;         ///< with a loss: keep the label map too
};

/// A forward graph for one whole image and the values the caller binds or reads.
struct InferenceGraph {
  std::shared_ptr<const Graph> graph;
  ValueId image = kNone;          ///< input [1, c, d, h, w]
  ValueId target = kNone;         ///< input u8 [1, 1, d, h, w]; with a loss only
  ValueId labels = kNone;         ///< kept, u8 [1, 1, d, h, w]; with a loss where asked for
  ValueId probabilities = kNone;  ///< kept, [1, k, d, h, w]
  ValueId loss = kNone;           ///< kept scalar
  ValueId logits = kNone;         ///< kept, [1, k, 1, 1, 1]; networks of whole images with a loss
  ValueId features = kNone;       ///< kept, what the last layer reads; likewise
  ValueId counts = kNone;         ///< kept, see SegmentationLossValues
  ValueId sums = kNone;           ///< likewise
};

[[nodiscard]] InferenceGraph build_inference_graph(const Network& network,
                                                   const InferenceSpec& spec,
                                                   const Extent3& extent);

}  // namespace wholemount
