#include "wholemount/train/update_graph.h"

#include <string>
#include <utility>

#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/elementwise/elementwise.h"

namespace wholemount {

UpdateGraph build_update_graph(const Network& network, const SegmentationLossSpec& loss,
                               std::span<const Extent3> extents, DType dtype) {
  GraphBuilder builder(make_apply(), static_cast<int32_t>(extents.size()));
  UpdateGraph result;
  for (size_t s = 0; s < extents.size(); ++s) {
    const std::string suffix = std::to_string(s);
    result.images.push_back(builder.input(
        "image" + suffix, TensorDesc::activation(1, network.in_channels, extents[s], dtype)));
    result.targets.push_back(builder.input(
        "target" + suffix, TensorDesc::plain(1, 1, network.target_extent(extents[s]), DType::u8)));
  }
  result.logits = network.build(builder, result.images, true);
  builder.next_layer();
  SegmentationLossValues values =
      segmentation_loss(builder, loss, result.logits, result.targets, "loss");
  result.losses = values.losses;
  result.counts = values.counts;
  for (const ValueId counts : result.counts) {
    builder.keep(counts);
  }
  differentiate(builder, result.losses, make_add());
  result.graph = std::make_shared<const Graph>(builder.finish());
  return result;
}

}  // namespace wholemount
