#include "wholemount/nets/mcnn.h"

#include <array>
#include <string>

#include "wholemount/base/error.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/conv/conv.h"
#include "wholemount/ops/linear/linear.h"
#include "wholemount/ops/pool/max_pool.h"

namespace wholemount {

namespace {

using Samples = std::vector<ValueId>;

constexpr std::array<int64_t, 7> kWidths{16, 16, 16, 32, 32, 32, 64};
constexpr int64_t kReduction = 64;  // of every pathway
constexpr int64_t kMergedWidth = 1024;
constexpr int64_t kFeatures = 512;
constexpr int64_t kMostClasses = 255;  // what a u8 target can tell apart

class McnnBuilder {
 public:
  McnnBuilder(GraphBuilder& builder, const McnnSpec& spec) : builder_(builder), spec_(spec) {}

  Samples build(const Samples& images) {
    // Pathway 0 first: the backward pass then meets its large tensors when the others are gone.
    std::vector<Samples> paths;
    Samples reduced = images;
    for (size_t i = 0; i < kWidths.size(); ++i) {
      // Maxima of maxima: each pathway's image from the one before, a quarter of its size.
      if (i > 0) reduced = pooled(reduced, 2, path_name(i) + ".reduce");
      paths.push_back(pathway(reduced, i));
    }
    Samples merged = for_each_sample([&](size_t s) {
      std::vector<ValueId> parts;
      for (const Samples& path : paths) parts.push_back(path[s]);
      return conv(builder_, convolution(kMergedWidth, {1, 1, 1}, {0, 0, 0}), parts, "merge.conv",
                  true, Initializer::glorot_uniform);
    });
    merged = pooled(rectified(merged, "merge"), 2, "merge.pool");
    Samples features = dense(merged, kFeatures, "fc1");
    if (spec_.fc_relu) features = rectified(features, "fc1");
    return dense(features, spec_.classes, "fc2");
  }

 private:
  template <class MakeOne>
  Samples for_each_sample(MakeOne make_one) {
    builder_.next_layer();
    Samples result;
    for (int32_t s = 0; s < builder_.graph().num_samples; ++s) {
      builder_.set_sample(s);
      result.push_back(make_one(static_cast<size_t>(s)));
    }
    return result;
  }

  static ConvSpec convolution(int64_t width, const Extent3& kernel, const Extent3& padding) {
    ConvSpec spec;
    spec.c_out = width;
    spec.kernel = kernel;
    spec.padding = padding;
    return spec;
  }

  Samples pooled(const Samples& x, int64_t size, const std::string& name) {
    const PoolSpec spec{{1, size, size}, {1, size, size}, {0, 0, 0}};
    return for_each_sample([&](size_t s) { return max_pool(builder_, spec, x[s], name); });
  }

  Samples rectified(const Samples& x, const std::string& name) {
    return for_each_sample(
        [&](size_t s) { return activation(builder_, 0.0F, x[s], name + ".activation"); });
  }

  static std::string path_name(size_t index) { return "path" + std::to_string(index + 1); }

  /// `x`: the images, already reduced by the pathway's 2^index.
  Samples pathway(Samples x, size_t index) {
    const std::string name = path_name(index);
    const int64_t reduction = int64_t{1} << index;
    for (int i = 1; i <= 3; ++i) {
      const std::string layer = name + ".conv" + std::to_string(i);
      const Samples y = for_each_sample([&](size_t s) {
        return conv(builder_, convolution(kWidths[index], {1, 5, 5}, {0, 2, 2}), std::array{x[s]},
                    layer, true, Initializer::glorot_uniform);
      });
      x = rectified(y, layer);
    }
    return kReduction > reduction ? pooled(x, kReduction / reduction, name + ".pool") : x;
  }

  Samples dense(const Samples& x, int64_t width, const std::string& name) {
    return for_each_sample([&](size_t s) {
      return linear(builder_, width, x[s], name, true, Initializer::glorot_uniform);
    });
  }

  GraphBuilder& builder_;
  const McnnSpec& spec_;
};

void check_spec(const McnnSpec& spec) {
  if (spec.in_channels < 1) throw ConfigError("net: mcnn needs at least one input channel");
  if (spec.classes < 2 || spec.classes > kMostClasses) {
    throw ConfigError("net: mcnn tells 2 to 255 classes apart, found " +
                      std::to_string(spec.classes));
  }
}

}  // namespace

Extent3 mcnn_divisor() { return {1, 2 * kReduction, 2 * kReduction}; }

std::vector<ValueId> mcnn(GraphBuilder& builder, const McnnSpec& spec,
                          std::span<const ValueId> images) {
  check_spec(spec);
  WM_CHECK(static_cast<int32_t>(images.size()) == builder.graph().num_samples,
           "one image per sample");
  const Extent3 divisor = mcnn_divisor();
  const Extent3& first = builder.desc(images.front()).extent;
  for (const ValueId image : images) {
    const TensorDesc& desc = builder.desc(image);
    if (desc.c != spec.in_channels) {
      throw ShapeError("net wants " + std::to_string(spec.in_channels) +
                       " channels, the image has " + std::to_string(desc.c));
    }
    if (desc.extent.d != 1 || desc.extent.h % divisor.h != 0 || desc.extent.w % divisor.w != 0) {
      throw ShapeError("image shape " + to_string(desc.extent) + " is not a multiple of " +
                       to_string(divisor) +
                       " with depth 1; pad it (data.shape = \"full\" does), and give a volume's "
                       "planes as fields of their own");
    }
    if (desc.extent != first) {
      throw ShapeError("mcnn: images of " + to_string(first) + " and " + to_string(desc.extent) +
                       "; its first dense layer wants one shape: set data.shape");
    }
  }
  return McnnBuilder(builder, spec).build({images.begin(), images.end()});
}

Network mcnn_network(const McnnSpec& spec) {
  check_spec(spec);
  Network network;
  network.kind = "mcnn";
  network.in_channels = spec.in_channels;
  network.out_channels = spec.classes;
  network.divisor = mcnn_divisor();
  network.whole_image = true;
  network.build = [spec](GraphBuilder& builder, std::span<const ValueId> images,
                         bool /*training*/) { return mcnn(builder, spec, images); };
  return network;
}

}  // namespace wholemount
