#pragma once

#include <string>

#include "wholemount/graph/graph.h"

namespace wholemount {

/// A fully connected layer: every output is a weighted sum of all values of a sample,
///   y(n, c') = bias(c') + sum over c, d, h, w of weight(c', c, d, h, w) * x(n, c, d, h, w).
/// [n, c, d, h, w] -> [n, c_out, 1, 1, 1]; e.g. 1024 channels of 8 x 10 to 512: 41,943,040 weights.
///
/// It is a convolution whose kernel covers the whole image, and is one in the graph: the input may
/// be read through a LoadTransform, and the backward pass adds "conv_weight_gradient" and
/// "conv_data_gradient" nodes. The weight gradient of a large matrix, of one sample, is an outer
/// product grad_y(c') * x(c, d, h, w): then a "flatten" node leaves its two factors instead
/// (ValueKind::gradient_factors), and the matrix is written once an update instead of read and
/// written for each sample. Declares name + ".weight" [c_out, c, d, h, w] (in memory the
/// [c_out, c * d * h * w] that other frameworks have behind a flattening of c, d, h, w) and, with
/// `bias`, name + ".bias" [1, 1, 1x1xc_out].
///
/// Memory: y, and scratch for the input once more. Throws ShapeError.
ValueId linear(GraphBuilder& builder, int64_t c_out, ValueId input, const std::string& name,
               bool bias = true, Initializer initializer = Initializer::he_uniform);

}  // namespace wholemount
