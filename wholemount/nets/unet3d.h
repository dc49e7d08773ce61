#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "wholemount/graph/graph.h"
#include "wholemount/nets/network.h"
#include "wholemount/ops/norm/norm.h"

namespace wholemount {

/// The 3-D U-Net of paper A (Ojika et al. 2020; IntelAI/unet 3D/model.py): `levels` resolutions,
/// widths f, 2f, 4f ...; a block is twice convolution 3x3x3 (with bias) -> norm -> ReLU; max
/// pooling 2x2x2 down, transposed convolution 2x2x2 with half the width (or upsampling without
/// halving) up, channels concatenated as [up, skip]; a 1x1x1 convolution to the logits.
/// With f = 16, 1 input and 1 output channel and batch norm it has 5,650,801 parameters, moving
/// statistics included.
struct UNet3dSpec {
  enum class Decoder : uint8_t { transposed, upsample };
  int64_t in_channels = 1;
  int64_t out_channels = 1;
  int64_t filters = 16;
  int64_t levels = 5;
  /// Empty: no norm, the activation follows the convolution.
  std::optional<NormKind> norm = NormKind::instance;
  int64_t groups = 8;     ///< for group norm
  float epsilon = 1e-5F;  ///< added to the variance
  float slope = 0.0F;     ///< of the leaky ReLU; 0 is ReLU
  Decoder decoder = Decoder::transposed;
  Extent3 kernel{3, 3, 3};  ///< odd; {1, 3, 3} for 2-D
  Extent3 pool{2, 2, 2};    ///< {1, 2, 2} for 2-D
};

/// What every axis of the input must be a multiple of: pool^(levels - 1).
[[nodiscard]] Extent3 unet3d_divisor(const UNet3dSpec& spec);

/// Adds the network for each image (one per sample of the graph, [1, in_channels, d, h, w], extents
/// may differ) and returns the logits [1, out_channels, d, h, w] per sample. Layers are added
/// sample by sample, so that what joins samples (batch norm) finds them together. `training` false:
/// batch norm uses its moving statistics.
/// Throws ConfigError for an impossible spec, ShapeError for an extent that is not a multiple of
/// the divisor.
[[nodiscard]] std::vector<ValueId> unet3d(GraphBuilder& builder, const UNet3dSpec& spec,
                                          std::span<const ValueId> images, bool training);

/// The spec as a Network; throws ConfigError for an impossible spec.
[[nodiscard]] Network unet3d_network(const UNet3dSpec& spec);

}  // namespace wholemount
