#pragma once

#include <cmath>
#include <cstdint>

#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// The LoadTransform of an input for the 16 float lanes of one channel block; for a plain tensor
/// (one channel a block) the channel's numbers stand in all lanes, so that 16 neighbours along w
/// are read with it. No statistics: scale 1, shift 0.
struct LaneTransform {
  alignas(64) float scale[16];
  alignas(64) float shift[16];
  float slope;
};

/// Resolves the transform of a float32 input for channel block `block`.
[[nodiscard]] inline LaneTransform lane_transform(const InputView& input, int64_t block) {
  LaneTransform lanes{};
  lanes.slope = input.transform.slope;
  const auto* scale = static_cast<const float*>(input.transform.scale);
  const auto* shift = static_cast<const float*>(input.transform.shift);
  const int64_t width = input.view.desc.block_width();
  for (int64_t lane = 0; lane < 16; ++lane) {
    const int64_t channel = block * width + (width == 1 ? 0 : lane);
    lanes.scale[lane] = scale == nullptr ? 1.0F : scale[channel];
    lanes.shift[lane] = scale == nullptr ? 0.0F : shift[channel];
  }
  return lanes;
}

/// Element (n, c, d, h, w) of any tensor whose elements are of type T.
template <class T>
[[nodiscard]] T& element(const TensorView& view, int64_t n, int64_t c, int64_t d, int64_t h,
                         int64_t w) {
  const int64_t width = view.desc.block_width();
  return view.at<T>(n, c / width, d, h, w)[c % width];
}

/// Reads single elements of an input through its LoadTransform, for reference kernels; T is float
/// or double. With a float32 twin (KernelArgs.decisions) the sign of the rectified value is decided
/// on the twin.
template <class T>
class TransformedReader {
 public:
  explicit TransformedReader(const InputView& input, const InputView* twin = nullptr)
      : input_(input), twin_(twin) {}

  /// z = fma(scale[c], x, shift[c]).
  [[nodiscard]] T linear(int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) const {
    const T x = element<T>(input_.view, n, c, d, h, w);
    if (input_.transform.scale == nullptr) return x;
    return std::fma(static_cast<const T*>(input_.transform.scale)[c], x,
                    static_cast<const T*>(input_.transform.shift)[c]);
  }
  /// Whether z > 0.
  [[nodiscard]] bool positive(int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) const {
    if (twin_ != nullptr) return TransformedReader<float>(*twin_).linear(n, c, d, h, w) > 0.0F;
    return linear(n, c, d, h, w) > T{0};
  }
  /// z > 0 ? z : slope * z.
  [[nodiscard]] T operator()(int64_t n, int64_t c, int64_t d, int64_t h, int64_t w) const {
    const T z = linear(n, c, d, h, w);
    if (input_.transform.slope == 1.0F || positive(n, c, d, h, w)) return z;
    return static_cast<T>(input_.transform.slope) * z;
  }

 private:
  const InputView& input_;
  const InputView* twin_;
};

}  // namespace wholemount
