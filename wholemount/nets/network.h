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
  std::string kind;  ///< "unet3d"
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  Extent3 divisor;             ///< every axis of the input is a multiple of this
  bool joins_samples = false;  ///< batch norm: samples of an update are not independent
  /// Adds the network for one image per sample of the graph and returns the logits per sample.
  std::function<std::vector<ValueId>(GraphBuilder& builder, std::span<const ValueId> images,
                                     bool training)>
      build;
};

}  // namespace wholemount
