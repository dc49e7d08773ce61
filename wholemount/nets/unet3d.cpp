#include "wholemount/nets/unet3d.h"

#include <array>
#include <string>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/ops/activation/activation.h"
#include "wholemount/ops/conv/conv.h"
#include "wholemount/ops/conv_transpose/conv_transpose.h"
#include "wholemount/ops/pool/max_pool.h"
#include "wholemount/ops/resize/upsample.h"

namespace wholemount {

namespace {

using Samples = std::vector<ValueId>;

class UNet3dBuilder {
 public:
  UNet3dBuilder(GraphBuilder& builder, const UNet3dSpec& spec, bool training)
      : builder_(builder), spec_(spec), training_(training) {}

  Samples build(std::span<const ValueId> images) {
    Samples x(images.begin(), images.end());
    std::vector<Samples> skips;
    for (int64_t level = 0; level < spec_.levels; ++level) {
      if (level > 0) {
        x = for_each_sample([&](size_t s) {
          return max_pool(builder_, {spec_.pool, spec_.pool, {0, 0, 0}}, x[s],
                          "encoder" + std::to_string(level) + ".pool");
        });
      }
      x = block({x}, spec_.filters << level, "encoder" + std::to_string(level));
      skips.push_back(x);
    }
    for (int64_t level = spec_.levels - 2; level >= 0; --level) {
      const std::string name = "decoder" + std::to_string(level);
      const Samples up = upsampled(x, level, name + ".up");
      x = block({up, skips[static_cast<size_t>(level)]}, spec_.filters << level, name);
    }
    ConvSpec head;
    head.c_out = spec_.out_channels;
    head.kernel = {1, 1, 1};
    head.padding = {0, 0, 0};
    return for_each_sample([&](size_t s) {
      return conv(builder_, head, std::array{x[s]}, "head", true, Initializer::glorot_uniform);
    });
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

  Samples convolution(const std::vector<Samples>& inputs, int64_t width, const std::string& name) {
    ConvSpec spec;
    spec.c_out = width;
    spec.kernel = spec_.kernel;
    spec.padding = {spec_.kernel.d / 2, spec_.kernel.h / 2, spec_.kernel.w / 2};
    return for_each_sample([&](size_t s) {
      std::vector<ValueId> sources;
      for (const Samples& input : inputs) {
        sources.push_back(input[s]);
      }
      return conv(builder_, spec, sources, name);
    });
  }

  Samples norm_and_activation(const Samples& x, const std::string& name) {
    if (!spec_.norm.has_value()) {
      return for_each_sample(
          [&](size_t s) { return activation(builder_, spec_.slope, x[s], name + ".activation"); });
    }
    builder_.next_layer();
    NormSpec norm;
    norm.kind = *spec_.norm;
    norm.groups = spec_.groups;
    norm.epsilon = spec_.epsilon;
    norm.slope = spec_.slope;
    norm.moving = !training_ && norm.kind == NormKind::batch;
    return norm_activation(builder_, norm, x, name);
  }

  Samples block(std::vector<Samples> inputs, int64_t width, const std::string& name) {
    for (int i = 0; i < 2; ++i) {
      const std::string index = std::to_string(i);
      const Samples y = convolution(inputs, width, name + ".conv" + index);
      inputs = {norm_and_activation(y, name + ".norm" + index)};
    }
    return inputs.front();
  }

  Samples upsampled(const Samples& x, int64_t level, const std::string& name) {
    if (spec_.decoder == UNet3dSpec::Decoder::upsample) {
      return for_each_sample([&](size_t s) {
        return upsample(builder_, {spec_.pool, UpsampleMode::nearest}, x[s], name);
      });
    }
    ConvTransposeSpec spec;
    spec.c_out = spec_.filters << level;
    spec.kernel = spec_.pool;
    spec.stride = spec_.pool;
    return for_each_sample([&](size_t s) { return conv_transpose(builder_, spec, x[s], name); });
  }

  GraphBuilder& builder_;
  const UNet3dSpec& spec_;
  bool training_;
};

void check_spec(const UNet3dSpec& spec) {
  const auto fail = [](const std::string& what) { throw ConfigError("net: " + what); };
  if (spec.levels < 1 || spec.levels > 10) {
    fail("levels = " + std::to_string(spec.levels) + "; wanted 1 to 10");
  }
  if (spec.filters < 1 || spec.filters > 4096) {
    fail("filters = " + std::to_string(spec.filters) + "; wanted 1 to 4096");
  }
  if (spec.in_channels < 1 || spec.out_channels < 1) {
    fail("needs at least one input and one output channel");
  }
  if (spec.norm == NormKind::group && (spec.groups < 1 || spec.filters % spec.groups != 0)) {
    fail("groups = " + std::to_string(spec.groups) +
         " does not divide filters = " + std::to_string(spec.filters));
  }
  if (!(spec.slope >= 0.0F && spec.slope <= 1.0F)) {
    fail("slope = " + std::to_string(spec.slope) + "; wanted 0 to 1");
  }
}

}  // namespace

Extent3 unet3d_divisor(const UNet3dSpec& spec) {
  Extent3 divisor{1, 1, 1};
  for (int64_t level = 1; level < spec.levels; ++level) {
    divisor = {divisor.d * spec.pool.d, divisor.h * spec.pool.h, divisor.w * spec.pool.w};
  }
  return divisor;
}

std::vector<ValueId> unet3d(GraphBuilder& builder, const UNet3dSpec& spec,
                            std::span<const ValueId> images, bool training) {
  check_spec(spec);
  WM_CHECK(static_cast<int32_t>(images.size()) == builder.graph().num_samples,
           "one image per sample");
  const Extent3 divisor = unet3d_divisor(spec);
  for (const ValueId image : images) {
    const TensorDesc& desc = builder.desc(image);
    if (desc.c != spec.in_channels) {
      throw ShapeError("net wants " + std::to_string(spec.in_channels) +
                       " channels, the image has " + std::to_string(desc.c));
    }
    if (desc.extent.d % divisor.d != 0 || desc.extent.h % divisor.h != 0 ||
        desc.extent.w % divisor.w != 0) {
      throw ShapeError("image shape " + to_string(desc.extent) + " is not a multiple of " +
                       to_string(divisor) + ", which " + std::to_string(spec.levels) +
                       " levels need; pad it (data.shape = \"full\" does) or lower net.levels");
    }
  }
  return UNet3dBuilder(builder, spec, training).build(images);
}

Network unet3d_network(const UNet3dSpec& spec) {
  check_spec(spec);
  Network network;
  network.kind = "unet3d";
  network.in_channels = spec.in_channels;
  network.out_channels = spec.out_channels;
  network.divisor = unet3d_divisor(spec);
  network.joins_samples = spec.norm == NormKind::batch;
  network.build = [spec](GraphBuilder& builder, std::span<const ValueId> images, bool training) {
    return unet3d(builder, spec, images, training);
  };
  return network;
}

}  // namespace wholemount
