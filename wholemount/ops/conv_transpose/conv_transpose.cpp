#include "wholemount/ops/conv_transpose/conv_transpose.h"

#include <algorithm>

#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount {

ValueId conv_transpose(GraphBuilder& builder, const ConvTransposeSpec& spec, ValueId input,
                       const std::string& name, bool bias, Initializer initializer) {
  if (spec.c_out < 1) {
    throw ShapeError("conv_transpose " + name + ": c_out is " + std::to_string(spec.c_out) +
                     ", wanted at least 1");
  }
  const ConvGeometry geometry{spec.kernel, spec.stride, spec.padding, {1, 1, 1}};
  (void)conv_adjoint_extent(geometry, builder.desc(input).extent, "conv_transpose " + name);
  const int64_t c_in = builder.desc(input).c;
  ParameterSpec weights;
  weights.name = name + ".weight";
  weights.desc =
      TensorDesc::plain(c_in, spec.c_out, spec.kernel, parameter_dtype(builder.desc(input)));
  weights.role = ParameterRole::weight;
  weights.initializer = initializer;
  weights.fan_in =
      std::max<int64_t>(checked_multiply(c_in, volume(spec.kernel)) / volume(spec.stride), 1);
  weights.fan_out = checked_multiply(spec.c_out, volume(spec.kernel));
  return add_conv_node(builder, ConvKind::transposed, geometry, {&input, 1}, name, {weights, bias});
}

}  // namespace wholemount
