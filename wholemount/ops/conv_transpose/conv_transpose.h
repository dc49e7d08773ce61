#pragma once

#include <cstdint>
#include <string>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// A transposed convolution. 2-D is d = 1: kernel and stride {1, 2, 2}.
struct ConvTransposeSpec {
  int64_t c_out = 0;         ///< output channels, >= 1
  Extent3 kernel{2, 2, 2};   ///< >= 1
  Extent3 stride{2, 2, 2};   ///< >= 1
  Extent3 padding{0, 0, 0};  ///< voxels cut from both sides of the output, >= 0
};

/// The adjoint of the convolution with the same weights, kernel, stride and padding:
///   y(n, c', i) = bias(c') + sum over c, k, o with o * stride + k - p = i of
///                 weight(c, c', k) * x(n, c, o)
/// Output size on each axis: (in - 1) stride - 2 p + k; e.g. kernel 2, stride 2 makes 24 of 12.
/// `input` may be read through a LoadTransform.
///
/// Declares name + ".weight" [c_in, c_out, kd, kh, kw] (the weights of the adjoint convolution)
/// and, with `bias`, name + ".bias" [1, 1, 1x1xc_out], adds the node `name` and returns y. Each
/// output sums c_in * kernel / stride terms, which is the fan-in given to the initializer.
///
/// Memory: as conv() (wholemount/ops/conv/conv.h). Throws ShapeError.
ValueId conv_transpose(GraphBuilder& builder, const ConvTransposeSpec& spec, ValueId input,
                       const std::string& name, bool bias = true,
                       Initializer initializer = Initializer::he_uniform);

}  // namespace wholemount
