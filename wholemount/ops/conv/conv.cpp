#include "wholemount/ops/conv/conv.h"

#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount {

ValueId conv(GraphBuilder& builder, const ConvSpec& spec, std::span<const ValueId> inputs,
             const std::string& name, bool bias, Initializer initializer) {
  if (spec.c_out < 1) {
    throw ShapeError("conv " + name + ": c_out is " + std::to_string(spec.c_out) +
                     ", wanted at least 1");
  }
  if (inputs.empty()) throw ShapeError("conv " + name + ": has no input; give at least one");
  const ConvGeometry geometry{spec.kernel, spec.stride, spec.padding, spec.dilation};
  // Checked before the parameters are declared, so that the message names this layer.
  (void)conv_output_extent(geometry, builder.desc(inputs.front()).extent, "conv " + name);
  int64_t c_in = 0;
  for (const ValueId input : inputs) c_in = checked_add(c_in, builder.desc(input).c);
  ParameterSpec weights;
  weights.name = name + ".weight";
  weights.desc = TensorDesc::plain(spec.c_out, c_in, spec.kernel,
                                   parameter_dtype(builder.desc(inputs.front())));
  weights.role = ParameterRole::weight;
  weights.initializer = initializer;
  weights.fan_in = checked_multiply(c_in, volume(spec.kernel));
  weights.fan_out = checked_multiply(spec.c_out, volume(spec.kernel));
  return add_conv_node(builder, ConvKind::conv, geometry, inputs, name, {weights, bias});
}

}  // namespace wholemount
