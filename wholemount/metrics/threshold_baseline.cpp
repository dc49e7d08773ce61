#include "wholemount/metrics/threshold_baseline.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

/// Voxels joined to components one at a time; knows the largest at every moment.
class GrowingComponents {
 public:
  GrowingComponents(const Extent3& extent, std::span<const uint8_t> truth)
      : extent_(extent),
        truth_(truth),
        parent_(truth.size(), kAbsent),
        size_(truth.size(), 0),
        hits_(truth.size(), 0) {}

  void add(int32_t voxel) {
    const auto v = static_cast<size_t>(voxel);
    parent_[v] = voxel;
    size_[v] = 1;
    hits_[v] = truth_[v] != 0 ? 1 : 0;
    note_largest(voxel);
    const auto width = static_cast<int32_t>(extent_.w);
    const auto plane = static_cast<int32_t>(extent_.h * extent_.w);
    const int32_t w = voxel % width;
    const int32_t h = voxel % plane / width;
    const int32_t d = voxel / plane;
    if (w > 0) join(voxel, voxel - 1);
    if (w + 1 < extent_.w) join(voxel, voxel + 1);
    if (h > 0) join(voxel, voxel - width);
    if (h + 1 < extent_.h) join(voxel, voxel + width);
    if (d > 0) join(voxel, voxel - plane);
    if (d + 1 < extent_.d) join(voxel, voxel + plane);
  }

  [[nodiscard]] int64_t largest_size() const { return largest_size_; }
  [[nodiscard]] int64_t largest_hits() const { return largest_hits_; }

 private:
  static constexpr int32_t kAbsent = -1;

  int32_t root(int32_t voxel) {
    auto v = static_cast<size_t>(voxel);
    while (parent_[v] != static_cast<int32_t>(v)) {
      parent_[v] = parent_[static_cast<size_t>(parent_[v])];
      v = static_cast<size_t>(parent_[v]);
    }
    return static_cast<int32_t>(v);
  }

  void join(int32_t a, int32_t b) {
    if (parent_[static_cast<size_t>(b)] == kAbsent) return;
    auto big = static_cast<size_t>(root(a));
    auto small = static_cast<size_t>(root(b));
    if (big == small) return;
    if (size_[big] < size_[small]) std::swap(big, small);
    parent_[small] = static_cast<int32_t>(big);
    size_[big] += size_[small];
    hits_[big] += hits_[small];
    note_largest(static_cast<int32_t>(big));
  }

  void note_largest(int32_t component) {
    const auto c = static_cast<size_t>(component);
    if (size_[c] <= largest_size_) return;
    largest_size_ = size_[c];
    largest_hits_ = hits_[c];
  }

  Extent3 extent_;
  std::span<const uint8_t> truth_;
  std::vector<int32_t> parent_;
  std::vector<int32_t> size_;
  std::vector<int32_t> hits_;
  int64_t largest_size_ = 0;
  int64_t largest_hits_ = 0;
};

}  // namespace

ThresholdBaseline::ThresholdBaseline(std::vector<double> thresholds, ThresholdSide side)
    : thresholds_(std::move(thresholds)), dice_sums_(thresholds_.size(), 0.0), side_(side) {
  if (thresholds_.empty() || !std::is_sorted(thresholds_.begin(), thresholds_.end())) {
    throw ConfigError("threshold baseline: wanted at least one threshold, in rising order");
  }
}

void ThresholdBaseline::add_case(const Extent3& extent, std::span<const float> values,
                                 std::span<const uint8_t> truth) {
  const int64_t voxels = volume(extent);
  if (voxels > std::numeric_limits<int32_t>::max() ||
      static_cast<int64_t>(values.size()) != voxels ||
      static_cast<int64_t>(truth.size()) != voxels) {
    throw ShapeError("threshold baseline: " + std::to_string(values.size()) + " values and " +
                     std::to_string(truth.size()) + " labels for a volume of " + to_string(extent) +
                     "; wanted equal numbers below 2^31");
  }
  std::vector<int32_t> order;
  int64_t target = 0;
  for (int64_t i = 0; i < voxels; ++i) {
    if (values[static_cast<size_t>(i)] != 0.0F) order.push_back(static_cast<int32_t>(i));
    if (truth[static_cast<size_t>(i)] != 0) ++target;
  }
  // Voxels enter from the kept end; ties by position, so the order is the same everywhere.
  const bool above = side_ == ThresholdSide::above;
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const float x = values[static_cast<size_t>(a)];
    const float y = values[static_cast<size_t>(b)];
    if (x != y) return above ? x > y : x < y;
    return a < b;
  });
  GrowingComponents components(extent, truth);
  size_t next = 0;
  for (size_t i = 0; i < thresholds_.size(); ++i) {
    const size_t t = above ? thresholds_.size() - 1 - i : i;
    const double threshold = thresholds_[t];
    while (next < order.size()) {
      const double value = values[static_cast<size_t>(order[next])];
      if (above ? value < threshold : value > threshold) break;
      components.add(order[next++]);
    }
    const int64_t both = components.largest_size() + target;
    // Nothing wanted and nothing found is a full hit.
    dice_sums_[t] += both == 0 ? 1.0
                               : 2.0 * static_cast<double>(components.largest_hits()) /
                                     static_cast<double>(both);
  }
  ++num_cases_;
}

ThresholdBaseline::Best ThresholdBaseline::best() const {
  WM_CHECK(num_cases_ > 0, "a baseline of no case");
  const auto at = std::max_element(dice_sums_.begin(), dice_sums_.end());
  return {thresholds_[static_cast<size_t>(at - dice_sums_.begin())],
          *at / static_cast<double>(num_cases_)};
}

}  // namespace wholemount
