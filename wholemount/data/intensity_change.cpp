#include "wholemount/data/intensity_change.h"

#include <array>
#include <cmath>
#include <string>

#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

constexpr double kLargestScale = 0.1;
constexpr double kLargestShift = 0.1;
constexpr double kLargestNoise = 0.1;

double deviation_of(const float* values, const StridedBox& box, bool keep_zero) {
  double sum = 0.0;
  int64_t count = 0;
  for_each_voxel(box, [&](int64_t at) {
    if (keep_zero && values[at] == 0.0F) return;
    sum += static_cast<double>(values[at]);
    ++count;
  });
  if (count == 0) return 0.0;
  const double mean = sum / static_cast<double>(count);
  double squares = 0.0;
  for_each_voxel(box, [&](int64_t at) {
    if (keep_zero && values[at] == 0.0F) return;
    const double difference = static_cast<double>(values[at]) - mean;
    squares += difference * difference;
  });
  return std::sqrt(squares / static_cast<double>(count));
}

std::string purpose(const char* use, int64_t channel) {
  return use + (":" + std::to_string(channel));
}

/// One number of variance 1 for each voxel, two from each block of the generator.
class VoxelNoise {
 public:
  explicit VoxelNoise(const CounterRng& rng) : rng_(rng) {}

  double next() {
    if (count_ % 2 == 0) words_ = rng_.block(count_ / 2);
    const size_t half = count_++ % 2;
    uint32_t sum = 0;
    for (size_t i = 0; i < 2; ++i) {
      sum += (words_[2 * half + i] & 0xffffU) + (words_[2 * half + i] >> 16U);
    }
    // Four uniform numbers on 0..65535: mean 2 * 65535, variance 4 * (65536^2 - 1) / 12.
    constexpr double kMean = 2.0 * 65535.0;
    static const double kDeviation = std::sqrt(4.0 * (65536.0 * 65536.0 - 1.0) / 12.0);
    return (static_cast<double>(sum) - kMean) / kDeviation;
  }

 private:
  CounterRng rng_;
  std::array<uint32_t, 4> words_{};
  uint64_t count_ = 0;
};

}  // namespace

IntensityChange draw_intensity_change(const AugmentSpec& spec, const IntensityDraw& draw) {
  CounterRng rng(draw.seed, draw.epoch, draw.case_index, purpose("intensity", draw.channel));
  // All three are drawn whatever is asked for, so that asking for one does not change another.
  const double scale = 1.0 + kLargestScale * (2.0 * rng.next_double() - 1.0);
  const double shift = kLargestShift * (2.0 * rng.next_double() - 1.0);
  const double noise = kLargestNoise * rng.next_double();
  return {spec.intensity_scale ? scale : 1.0, spec.intensity_shift ? shift : 0.0,
          spec.noise ? noise : 0.0};
}

void change_intensity(const IntensityChange& change, const IntensityDraw& draw, bool keep_zero,
                      float* values, const StridedBox& box) {
  const double deviation = deviation_of(values, box, keep_zero);
  const double shift = change.shift * deviation;
  const double noise = change.noise * deviation;
  VoxelNoise random(
      CounterRng(draw.seed, draw.epoch, draw.case_index, purpose("noise", draw.channel)));
  for_each_voxel(box, [&](int64_t at) {
    const double addition = noise > 0.0 ? noise * random.next() : 0.0;
    if (keep_zero && values[at] == 0.0F) return;
    values[at] =
        static_cast<float>(change.scale * static_cast<double>(values[at]) + shift + addition);
  });
}

}  // namespace wholemount
