#include "wholemount/ops/linear/linear.h"

#include "wholemount/ops/conv/conv.h"

namespace wholemount {

ValueId linear(GraphBuilder& builder, int64_t c_out, ValueId input, const std::string& name,
               bool bias, Initializer initializer) {
  ConvSpec spec;
  spec.c_out = c_out;
  spec.kernel = builder.desc(input).extent;
  spec.padding = {0, 0, 0};
  return conv(builder, spec, {&input, 1}, name, bias, initializer);
}

}  // namespace wholemount
