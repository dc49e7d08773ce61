#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "wholemount/graph/graph.h"
#include "wholemount/ops/conv/geometry.h"

namespace wholemount {

/// A convolution, or its adjoint. All passes of both are three operators with the roles of the
/// operands exchanged: the adjoint's forward pass is the convolution's data gradient, and so on.
enum class ConvKind : uint8_t { conv, transposed };

/// "conv" / "conv_transpose": inputs {weights, bias or absent, x0, x1, ...} -> {y}. The xs are
/// concatenated by channels and may each carry a LoadTransform (zero padding stays zero).
/// Weights are plain [c_out, c_in, k] for a convolution, [c_in, c_out, k] for a transposed one;
/// bias is plain [1, 1, 1x1xc_out]. Convolutions at stride 1 of one sample to more than four
/// channels can sum the moments of y (Op::with_moments).
[[nodiscard]] std::shared_ptr<const Op> make_conv_op(ConvKind kind, const ConvGeometry& geometry);

/// "..._data_gradient": inputs {grad_y, weights} -> {grad_x0, grad_x1, ...}, activations with these
/// channels and this extent. Outputs may be left out.
[[nodiscard]] std::shared_ptr<const Op> make_conv_data_gradient_op(ConvKind kind,
                                                                   const ConvGeometry& geometry,
                                                                   std::vector<int64_t> channels,
                                                                   const Extent3& extent);

/// "..._weight_gradient": inputs {grad_y, x0, x1, ...} -> {grad_weights} or, with a bias,
/// {grad_weights, grad_bias}; xs are read through their LoadTransforms, both outputs accumulate on
/// request.
[[nodiscard]] std::shared_ptr<const Op> make_conv_weight_gradient_op(ConvKind kind,
                                                                     const ConvGeometry& geometry,
                                                                     bool has_bias);

/// Type of the parameters beside an input: float64 in reference runs, else float32.
[[nodiscard]] inline DType parameter_dtype(const TensorDesc& input) {
  return input.dtype == DType::f64 ? DType::f64 : DType::f32;
}

/// Declares the parameters name + ".weight" and name + ".bias", adds the node and returns y.
struct ConvParameters {
  ParameterSpec weights;
  bool bias = true;
};
ValueId add_conv_node(GraphBuilder& builder, ConvKind kind, const ConvGeometry& geometry,
                      std::span<const ValueId> inputs, const std::string& name,
                      const ConvParameters& parameters);

}  // namespace wholemount
