#include "wholemount/data/normalise.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "wholemount/base/error.h"
#include "wholemount/base/nearest_name.h"

namespace wholemount {

namespace {

constexpr NormaliseKind kKinds[] = {NormaliseKind::none,
                                    NormaliseKind::zscore,
                                    NormaliseKind::zscore_nonzero,
                                    NormaliseKind::percentile,
                                    NormaliseKind::minmax,
                                    NormaliseKind::full_scale,
                                    NormaliseKind::anscombe,
                                    NormaliseKind::zscore_training,
                                    NormaliseKind::zscore_controls,
                                    NormaliseKind::anscombe_controls};

template <bool kNonzeroOnly>
IntensityScale zscore(float* values, const StridedBox& box) {
  int64_t count = 0;
  double sum = 0.0;
  for_each_voxel(box, [&](int64_t i) {
    if (kNonzeroOnly && values[i] == 0.0F) return;
    sum += static_cast<double>(values[i]);
    ++count;
  });
  if (count == 0) return {};
  const double mean = sum / static_cast<double>(count);
  double squares = 0.0;
  for_each_voxel(box, [&](int64_t i) {
    if (kNonzeroOnly && values[i] == 0.0F) return;
    const double difference = static_cast<double>(values[i]) - mean;
    squares += difference * difference;
  });
  const double deviation = std::sqrt(squares / static_cast<double>(count));
  const double scale = deviation > 0.0 ? 1.0 / deviation : 1.0;
  for_each_voxel(box, [&](int64_t i) {
    if (kNonzeroOnly && values[i] == 0.0F) return;
    values[i] = static_cast<float>((static_cast<double>(values[i]) - mean) * scale);
  });
  return {mean, scale, 0.0, 0.0};
}

// Maps floats to integers of the same order, so that order statistics can be found digit by digit.
uint32_t order_key(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

float value_of_key(uint32_t key) {
  return std::bit_cast<float>((key & 0x80000000U) != 0 ? key & 0x7fffffffU : ~key);
}

/// Exact order statistics by counting the upper, then the lower 16 bits of the keys.
class OrderStatistics {
 public:
  OrderStatistics(const float* values, const StridedBox& box)
      : values_(values), box_(box), counts_(kBins) {
    static_assert(kBins * sizeof(int64_t) <= kNormaliseBytes);
  }

  /// numpy's "linear" percentile: between the two values around percent / 100 * (count - 1).
  double percentile(double percent) {
    const int64_t count = volume(box_.extent);
    const double position = percent / 100.0 * static_cast<double>(count - 1);
    const auto below = static_cast<int64_t>(std::floor(position));
    const double fraction = position - std::floor(position);
    const double low = static_cast<double>(value_at_rank(below));
    if (fraction == 0.0) return low;
    const double high = static_cast<double>(value_at_rank(std::min(below + 1, count - 1)));
    return low + (high - low) * fraction;
  }

 private:
  static constexpr size_t kBins = size_t{1} << 16;

  float value_at_rank(int64_t rank) {
    std::fill(counts_.begin(), counts_.end(), 0);
    for_each_voxel(box_, [&](int64_t i) { ++counts_[order_key(values_[i]) >> 16U]; });
    const uint32_t upper = find_bin(&rank);
    std::fill(counts_.begin(), counts_.end(), 0);
    for_each_voxel(box_, [&](int64_t i) {
      const uint32_t key = order_key(values_[i]);
      if (key >> 16U == upper) ++counts_[key & 0xffffU];
    });
    return value_of_key(upper << 16U | find_bin(&rank));
  }

  uint32_t find_bin(int64_t* rank) const {
    uint32_t bin = 0;
    while (*rank >= counts_[bin]) *rank -= counts_[bin++];
    return bin;
  }

  const float* values_;
  StridedBox box_;
  std::vector<int64_t> counts_;
};

IntensityScale stretch(float* values, const StridedBox& box, double lowest, double highest) {
  const double scale = highest > lowest ? 1.0 / (highest - lowest) : 1.0;
  for_each_voxel(box, [&](int64_t i) {
    const double clipped = std::clamp(static_cast<double>(values[i]), lowest, highest);
    values[i] = static_cast<float>((clipped - lowest) * scale);
  });
  return {lowest, scale, lowest, highest};
}

IntensityScale minmax(float* values, const StridedBox& box) {
  float lowest = std::numeric_limits<float>::max();
  float highest = std::numeric_limits<float>::lowest();
  for_each_voxel(box, [&](int64_t i) {
    lowest = std::min(lowest, values[i]);
    highest = std::max(highest, values[i]);
  });
  return stretch(values, box, static_cast<double>(lowest), static_cast<double>(highest));
}

template <class Transform>
IntensityScale fixed_scale(const NormaliseSpec& spec, float* values, const StridedBox& box,
                           const Transform& transform) {
  const double scale = 1.0 / spec.deviation;
  for_each_voxel(box, [&](int64_t i) {
    values[i] = static_cast<float>((transform(static_cast<double>(values[i])) - spec.mean) * scale);
  });
  return {spec.mean, scale, 0.0, 0.0};
}

}  // namespace

double anscombe_root(double x) { return 2.0 * std::sqrt(std::max(0.0, x + 0.375)); }

const char* normalise_name(NormaliseKind kind) {
  switch (kind) {
    case NormaliseKind::none:
      return "none";
    case NormaliseKind::zscore:
      return "zscore";
    case NormaliseKind::zscore_nonzero:
      return "zscore-nonzero";
    case NormaliseKind::percentile:
      return "percentile";
    case NormaliseKind::minmax:
      return "minmax";
    case NormaliseKind::full_scale:
      return "full-scale";
    case NormaliseKind::anscombe:
      return "anscombe";
    case NormaliseKind::zscore_training:
      return "zscore-training";
    case NormaliseKind::zscore_controls:
      return "zscore-controls";
    case NormaliseKind::anscombe_controls:
      return "anscombe-controls";
  }
  return "?";
}

NormaliseKind parse_normalise(const std::string& name) {
  std::vector<std::string> names;
  for (const NormaliseKind kind : kKinds) {
    if (name == normalise_name(kind)) return kind;
    names.emplace_back(normalise_name(kind));
  }
  throw ConfigError("data.normalise: unknown normalisation \"" + name + "\"" +
                    suggestion(name, names));
}

IntensityScale normalise(const NormaliseSpec& spec, float* values, const StridedBox& box) {
  if (volume(box.extent) == 0) return {};
  switch (spec.kind) {
    case NormaliseKind::none:
      return {};
    case NormaliseKind::zscore:
      return zscore<false>(values, box);
    case NormaliseKind::zscore_nonzero:
      return zscore<true>(values, box);
    case NormaliseKind::percentile: {
      if (!(spec.lower_percent >= 0 && spec.lower_percent < spec.upper_percent &&
            spec.upper_percent <= 100)) {
        throw ConfigError("data.normalise: percentiles must rise within 0 to 100");
      }
      OrderStatistics order(values, box);
      const double lowest = order.percentile(spec.lower_percent);
      return stretch(values, box, lowest, order.percentile(spec.upper_percent));
    }
    case NormaliseKind::minmax:
      return minmax(values, box);
    case NormaliseKind::full_scale: {
      const double scale = 1.0 / spec.full_scale;
      for_each_voxel(box, [&](int64_t i) {
        values[i] = static_cast<float>(static_cast<double>(values[i]) * scale);
      });
      return {0.0, scale, 0.0, 0.0};
    }
    case NormaliseKind::anscombe:
      for_each_voxel(box, [&](int64_t i) {
        values[i] = static_cast<float>(anscombe_root(static_cast<double>(values[i])));
      });
      return zscore<false>(values, box);
    case NormaliseKind::zscore_training:
    case NormaliseKind::zscore_controls:
      return fixed_scale(spec, values, box, [](double value) { return value; });
    case NormaliseKind::anscombe_controls:
      return fixed_scale(spec, values, box, anscombe_root);
  }
  return {};
}

}  // namespace wholemount
