#include "wholemount/predict/inference_graph.h"

#include <array>
#include <string>
#include <utility>

#include "wholemount/ops/activation/activation.h"

namespace wholemount {

namespace {

/// What the last layer reads, written out and kept: the description of an image that
/// classification by neighbours compares.
ValueId features_of(GraphBuilder& builder, ValueId logits) {
  const Graph& graph = builder.graph();
  const ValueId read =
      graph.nodes[static_cast<size_t>(graph.value(logits).producer)].inputs.front();
  const ValueId features = builder.add(make_apply(), {read}, "features").front();
  builder.keep(features);
  return features;
}

}  // namespace

InferenceGraph build_inference_graph(const Network& network, const InferenceSpec& spec,
                                     const Extent3& extent) {
  GraphBuilder builder(make_apply());
  InferenceGraph result;
  result.image = builder.input("image", TensorDesc::activation(1, network.in_channels, extent));
  const ValueId logits = network.build(builder, std::array{result.image}, false).front();
  builder.next_layer();
  if (spec.loss.has_value()) {
    result.target =
        builder.input("target", TensorDesc::plain(1, 1, network.target_extent(extent), DType::u8));
    const SegmentationLossValues values = segmentation_loss(builder, *spec.loss, std::array{logits},
                                                            std::array{result.target}, "loss");
    result.loss = values.losses.front();
    result.counts = values.counts.front();
    if (network.whole_image) {
      result.logits = logits;
      builder.keep(logits);
      result.features = features_of(builder, logits);
    }
    builder.keep(result.loss);
    builder.keep(result.counts);
    result.sums = values.sums.front();
    builder.keep(result.sums);
  }
  const ProbabilityKind kind =
      spec.target == TargetKind::regions ? ProbabilityKind::sigmoid : ProbabilityKind::softmax;
  if (!spec.loss.has_value() || spec.labels) {
    result.labels = predict_labels(builder, kind, logits, "labels");
    builder.keep(result.labels);
  }
  if (!spec.loss.has_value()) {
    if (spec.probabilities) {
      result.probabilities = probabilities(builder, kind, logits, "probabilities");
      builder.keep(result.probabilities);
    }
  }
  result.graph = std::make_shared<const Graph>(builder.finish());
  return result;
}

}  // namespace wholemount
