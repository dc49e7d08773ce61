#include "cli/voxel_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "wholemount/base/sha256.h"

namespace wholemount::cli {

namespace {

// Adds up one channel.
class ChannelSums {
 public:
  explicit ChannelSums(const Extent3& extent) : extent_(extent) { result_.histogram.emplace(); }

  void add_plane(int64_t d, std::span<const float> values) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const float value = values[i];
      if (!std::isfinite(value)) {
        note_non_finite(d, static_cast<int64_t>(i));
        continue;
      }
      sum += static_cast<double>(value);
      minimum_ = std::min(minimum_, value);
      maximum_ = std::max(maximum_, value);
      result_.zeros += value == 0.0F ? 1 : 0;
      if (!result_.histogram) continue;
      if (value >= 0.0F && value <= 255.0F && std::floor(value) == value) {
        ++(*result_.histogram)[static_cast<size_t>(value)];
      } else {
        result_.histogram.reset();
      }
    }
    sum_ += sum;  // plane by plane: a volume's sum keeps its digits
    voxels_ += static_cast<int64_t>(values.size());
  }

  ChannelStatistics finish() {
    const int64_t finite = voxels_ - result_.non_finite;
    if (finite > 0) {
      result_.minimum = static_cast<double>(minimum_);
      result_.maximum = static_cast<double>(maximum_);
      result_.mean = sum_ / static_cast<double>(finite);
    }
    return result_;
  }

 private:
  void note_non_finite(int64_t d, int64_t index) {
    if (result_.non_finite++ == 0) {
      result_.first_non_finite = {d, index / extent_.w, index % extent_.w};
    }
    result_.histogram.reset();
  }

  Extent3 extent_;
  ChannelStatistics result_;
  float minimum_ = std::numeric_limits<float>::max();
  float maximum_ = std::numeric_limits<float>::lowest();
  double sum_ = 0;
  int64_t voxels_ = 0;
};

}  // namespace

VoxelStatistics voxel_statistics(VolumeReader& reader) {
  const VolumeHeader& header = reader.header();
  std::vector<float> plane(static_cast<size_t>(header.extent.h * header.extent.w));
  VoxelStatistics result;
  Sha256 sha;
  for (int64_t channel = 0; channel < header.channels; ++channel) {
    ChannelSums sums(header.extent);
    for (int64_t d = 0; d < header.extent.d; ++d) {
      reader.read_planes({channel, d, 1}, plane, NonFinite::accept);
      sums.add_plane(d, plane);
      sha.update(plane.data(), plane.size() * sizeof(float));
    }
    result.channels.push_back(sums.finish());
  }
  result.digest = sha.finish_hex();
  return result;
}

}  // namespace wholemount::cli
