#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// A convolution. 2-D is d = 1: kernel {1, 3, 3}, padding {0, 1, 1}.
struct ConvSpec {
  int64_t c_out = 0;          ///< output channels, >= 1
  Extent3 kernel{3, 3, 3};    ///< >= 1
  Extent3 stride{1, 1, 1};    ///< >= 1
  Extent3 padding{1, 1, 1};   ///< zeros on both sides, >= 0
  Extent3 dilation{1, 1, 1};  ///< distance between kernel taps, >= 1
};

/// y(n, c', o) = bias(c') + sum over c, k of weight(c', c, k) * x(n, c, o * stride + dil * k - p),
/// x = 0 outside. Output size on each axis: floor((in + 2 p - dil (k - 1) - 1) / stride) + 1; e.g.
/// kernel 3, padding 1, stride 2 makes 17 of 33.
///
/// Several `inputs` are concatenated by channels without being copied; each may be read through a
/// LoadTransform. Declares the parameters name + ".weight" [c_out, sum of c_in, kd, kh, kw] and,
/// with `bias`, name + ".bias" [1, 1, 1x1xc_out], adds the node `name` and returns y.
/// The backward pass adds "conv_weight_gradient" and "conv_data_gradient" nodes.
///
/// Memory: y, plus scratch for the weights once more and about 1 MiB a thread; 3x3x3 kernels of
/// stride 1 mostly run by Winograd and need up to 8 x the weights and 2 MiB a thread (deep layers:
/// 400 KiB for each 16 input and output channels of a thread). The weight gradient needs up to
/// max(64 MiB, 2 x weights) of shared scratch. Throws ShapeError.
ValueId conv(GraphBuilder& builder, const ConvSpec& spec, std::span<const ValueId> inputs,
             const std::string& name, bool bias = true,
             Initializer initializer = Initializer::he_uniform);

}  // namespace wholemount
