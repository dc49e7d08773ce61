#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// A network as training and prediction see it: how to add it to a graph, and what it asks of its
/// input. Made from a spec by a function beside each net (unet3d_network ...).
struct Network {
  std::string kind;  ///< "unet3d", "mcnn"
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  Extent3 divisor;  ///< every axis of the input is a multiple of this
  /// The logits are of the image as a whole, [1, c, 1, 1, 1], not of each voxel; all images of a
  /// run then have one extent.
  bool whole_image = false;
  bool joins_samples = false;  ///< batch norm: samples of an update are not independent
  /// Adds the network for one image per sample of the graph and returns the logits per sample.
  std::function<std::vector<ValueId>(GraphBuilder& builder, std::span<const ValueId> images,
                                     bool training)>
      build;
  /// Extent of the logits, and of the target, for an image of `extent`.
  [[nodiscard]] Extent3 target_extent(const Extent3& extent) const {
    return whole_image ? Extent3{1, 1, 1} : extent;
  }
};

}  // namespace wholemount
