#include "wholemount/predict/label_pairs.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

// Headers store float32 and programs rewrite them by way of quaternions; more than this is another
// grid.
constexpr double kLargestOffsetVoxels = 0.05;
constexpr size_t kLabels = 256;

void check_single_channel(const NiftiReader& reader, const NiftiReader& other) {
  if (reader.header().channels == 1) return;
  throw FileError(reader.path(), "holds " + to_string(reader.header()) +
                                     ", wanted a label map of one channel to compare with " +
                                     other.path());
}

double largest_offset_mm(const VolumeHeader& a, const VolumeHeader& b) {
  if (a.geometry.has_orientation() && b.geometry.has_orientation()) {
    return largest_corner_distance_mm(a.geometry, b.geometry, {a.extent.w, a.extent.h, a.extent.d});
  }
  const std::array<int64_t, 3> sizes{a.extent.d, a.extent.h, a.extent.w};
  double offset = 0;
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    const double step = a.geometry.spacing_mm[axis] - b.geometry.spacing_mm[axis];
    offset = std::max(offset, std::abs(step) * static_cast<double>(sizes[axis] - 1));
  }
  return offset;
}

void check_same_grid(const NiftiReader& prediction, const NiftiReader& reference) {
  check_single_channel(prediction, reference);
  check_single_channel(reference, prediction);
  const VolumeHeader& a = prediction.header();
  const VolumeHeader& b = reference.header();
  if (!(a.extent == b.extent)) {
    throw FileError(prediction.path(), "has shape " + to_string(a.extent) + " (d x h x w), but " +
                                           reference.path() + " has " + to_string(b.extent) +
                                           "; resample the prediction onto the reference's grid");
  }
  const auto& spacing = b.geometry.spacing_mm;
  const double offset = largest_offset_mm(a, b);
  if (offset > kLargestOffsetVoxels * *std::min_element(spacing.begin(), spacing.end())) {
    throw FileError(prediction.path(),
                    "lies elsewhere than " + reference.path() +
                        ": their affines place the same corner " + std::to_string(offset) +
                        " mm apart; resample the prediction onto the reference's grid");
  }
}

}  // namespace

std::vector<LabelPair> count_label_pairs(NiftiReader& prediction, NiftiReader& reference) {
  check_same_grid(prediction, reference);
  const Extent3 extent = prediction.header().extent;
  const auto plane = static_cast<size_t>(extent.h * extent.w);
  std::vector<uint8_t> predicted(plane);
  std::vector<uint8_t> referenced(plane);
  std::vector<int64_t> table(kLabels * kLabels);
  for (int64_t d = 0; d < extent.d; ++d) {
    prediction.read_labels({0, d, 1}, std::span<uint8_t>(predicted));
    reference.read_labels({0, d, 1}, std::span<uint8_t>(referenced));
    // Most neighbours are alike: counting runs avoids waiting for the last increment.
    size_t begin = 0;
    for (size_t i = 1; i <= plane; ++i) {
      if (i < plane && predicted[i] == predicted[begin] && referenced[i] == referenced[begin]) {
        continue;
      }
      table[predicted[begin] * kLabels + referenced[begin]] += static_cast<int64_t>(i - begin);
      begin = i;
    }
  }
  std::vector<LabelPair> pairs;
  for (size_t index = 0; index < table.size(); ++index) {
    if (table[index] == 0) continue;
    pairs.push_back({static_cast<uint8_t>(index / kLabels), static_cast<uint8_t>(index % kLabels),
                     table[index]});
  }
  return pairs;
}

OverlapCounts overlap_of(std::span<const LabelPair> pairs, std::span<const uint8_t> values) {
  const auto inside = [values](uint8_t label) {
    return std::find(values.begin(), values.end(), label) != values.end();
  };
  OverlapCounts counts;
  for (const LabelPair& pair : pairs) {
    const bool predicted = inside(pair.prediction);
    const bool referenced = inside(pair.reference);
    int64_t& count =
        predicted ? (referenced ? counts.tp : counts.fp) : (referenced ? counts.fn : counts.tn);
    count += pair.voxels;
  }
  return counts;
}

}  // namespace wholemount
