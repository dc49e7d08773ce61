#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wholemount/graph/graph.h"
#include "wholemount/nets/network.h"

namespace wholemount {

/// The multi-scale network of Godinez et al. (2017) as paper B trains it on whole fields (Datta et
/// al. 2019; kdatta/benchmarks mcnn_model.py). Seven pathways i = 0 ... 6 look at the image reduced
/// by a max pool of 2^i: three convolutions 5x5 with bias and ReLU, of 16, 16, 16, 32, 32, 32 and
/// 64 channels, then a max pool that brings each to 1/64. Joined (208 channels): convolution 1x1 to
/// 1024 with ReLU, max pool 2, a dense layer to 512, one to the classes. Weights start Xavier,
/// biases 0; no norm, no dropout.
/// 3 channels, 13 classes: 42,577,261 parameters at [1, 1024, 1280], 19,508,589 at [1, 768, 768].
struct McnnSpec {
  int64_t in_channels = 3;
  int64_t classes = 13;
  bool fc_relu = true;  ///< ReLU between the dense layers; paper B's code trained without
};

/// The extent divides by this: 64 of the deepest pathway, 2 of the last pool.
[[nodiscard]] Extent3 mcnn_divisor();

/// Adds the network for each image (one per sample of the graph, [1, in_channels, 1, h, w], all of
/// one extent: the first dense layer has a weight for every position) and returns the logits
/// [1, classes, 1, 1, 1] per sample.
/// Throws ConfigError for an impossible spec, ShapeError for an extent that does not fit.
[[nodiscard]] std::vector<ValueId> mcnn(GraphBuilder& builder, const McnnSpec& spec,
                                        std::span<const ValueId> images);

/// The spec as a Network; throws ConfigError for an impossible spec.
[[nodiscard]] Network mcnn_network(const McnnSpec& spec);

}  // namespace wholemount
