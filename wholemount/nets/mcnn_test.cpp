#include "wholemount/nets/mcnn.h"

#include <gtest/gtest.h>

#include <array>
#include <map>

#include "wholemount/base/error.h"
#include "wholemount/ops/activation/activation.h"

namespace wholemount {
namespace {

Graph build(const McnnSpec& spec, const Extent3& extent) {
  GraphBuilder builder(make_apply());
  const ValueId image = builder.input("image", TensorDesc::activation(1, spec.in_channels, extent));
  const ValueId logits = mcnn(builder, spec, std::array{image}).front();
  EXPECT_EQ(builder.desc(logits).c, spec.classes);
  EXPECT_EQ(builder.desc(logits).extent, (Extent3{1, 1, 1}));
  return builder.finish();
}

int64_t num_parameters(const Graph& graph) {
  int64_t count = 0;
  for (const ParameterSpec& parameter : graph.parameters) count += parameter.desc.num_elements();
  return count;
}

TEST(Mcnn, has_the_parameters_of_the_papers_network) {
  EXPECT_EQ(num_parameters(build({}, {1, 1024, 1280})), 42'577'261);
  // 724 padded to 768: 36,864 positions and channels before the first dense layer.
  const Graph graph = build({}, {1, 768, 768});
  EXPECT_EQ(num_parameters(graph), 42'577'261 - (81'920 - 36'864) * 512);
}

TEST(Mcnn, layers_are_those_of_the_table) {
  const Graph graph = build({}, {1, 1024, 1280});
  std::map<std::string, TensorDesc> outputs;
  int64_t convolution_elements = 0;
  for (const Node& node : graph.nodes) {
    const TensorDesc& desc = graph.value(node.outputs.front()).desc;
    outputs[node.name] = desc;
    if (node.op->name() == "conv") convolution_elements += desc.num_elements();
  }
  EXPECT_EQ(outputs["path1.conv3"].c, 16);
  EXPECT_EQ(outputs["path1.conv3"].extent, (Extent3{1, 1024, 1280}));
  EXPECT_EQ(outputs["path4.conv1"].c, 32);
  EXPECT_EQ(outputs["path4.conv1"].extent, (Extent3{1, 128, 160}));
  EXPECT_EQ(outputs["path7.conv3"].c, 64);
  EXPECT_EQ(outputs["path7.conv3"].extent, (Extent3{1, 16, 20}));
  for (int i = 1; i <= 6; ++i) {
    EXPECT_EQ(outputs["path" + std::to_string(i) + ".pool"].extent, (Extent3{1, 16, 20}));
  }
  EXPECT_EQ(outputs["merge.conv"].c, 1024);
  EXPECT_EQ(outputs["merge.pool"].extent, (Extent3{1, 8, 10}));
  EXPECT_EQ(outputs["fc1"].c, 512);
  // Paper B, Fig. 2: 10.95 GB of convolution outputs at batch 32.
  EXPECT_NEAR(static_cast<double>(convolution_elements) * 4 * 32 / 1e9, 10.95, 0.005);
}

TEST(Mcnn, fc_relu_adds_no_parameter_and_any_number_of_classes_is_built) {
  McnnSpec spec{2, 2, false};
  const int64_t linear = num_parameters(build(spec, {1, 128, 256}));
  spec.fc_relu = true;
  EXPECT_EQ(num_parameters(build(spec, {1, 128, 256})), linear);
  spec.classes = 255;
  EXPECT_EQ(num_parameters(build(spec, {1, 128, 256})), linear + 253 * 513);
}

TEST(Mcnn, refuses_shapes_and_specs_that_cannot_be) {
  EXPECT_THROW(build({}, {1, 724, 724}), ShapeError);
  EXPECT_THROW(build({}, {2, 128, 128}), ShapeError);
  EXPECT_THROW((void)mcnn_network({3, 1, true}), ConfigError);
  EXPECT_THROW((void)mcnn_network({3, 256, true}), ConfigError);
}

}  // namespace
}  // namespace wholemount
