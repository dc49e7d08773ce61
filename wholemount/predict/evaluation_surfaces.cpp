#include "wholemount/predict/evaluation_surfaces.h"

#include <algorithm>
#include <array>
#include <span>

#include "wholemount/base/memory.h"
#include "wholemount/image/nifti_reader.h"
#include "wholemount/metrics/surface.h"

namespace wholemount {

namespace {

// A label map holds one bit a label, so that regions may overlap.
constexpr size_t kLabelsAtOnce = 8;

using Bits = std::array<uint8_t, 256>;

Bits bits_of(const std::vector<EvaluationLabel>& labels, const std::vector<size_t>& chosen) {
  Bits bits{};
  for (size_t bit = 0; bit < chosen.size(); ++bit) {
    for (const uint8_t value : labels[chosen[bit]].values) {
      bits[value] = static_cast<uint8_t>(bits[value] | 1U << bit);
    }
  }
  return bits;
}

void read_bits(const std::string& path, const Bits& bits, std::span<uint8_t> voxels) {
  NiftiReader reader(path);
  const Extent3& extent = reader.header().extent;
  reader.read_labels({0, 0, extent.d}, voxels);
  for (uint8_t& voxel : voxels) voxel = bits[voxel];
}

void score_chosen(const std::vector<EvaluationLabel>& labels, const std::vector<size_t>& chosen,
                  double tolerance_mm, CaseScores& scores) {
  const VolumeHeader header = NiftiReader(scores.reference_file).header();
  const TensorDesc desc = TensorDesc::plain(1, 1, header.extent, DType::u8);
  const PageBuffer prediction(desc.bytes());
  const PageBuffer reference(desc.bytes());
  const Bits bits = bits_of(labels, chosen);
  const auto voxels = [&](const PageBuffer& buffer) {
    return std::span(reinterpret_cast<uint8_t*>(buffer.data()), desc.bytes());
  };
  read_bits(scores.prediction_file, bits, voxels(prediction));
  read_bits(scores.reference_file, bits, voxels(reference));
  for (size_t bit = 0; bit < chosen.size(); ++bit) {
    const auto mask = [&](const PageBuffer& buffer) {
      return LabelMask{whole_view(desc, buffer.data()), LabelCoding::regions,
                       static_cast<int64_t>(bit)};
    };
    const SurfaceDistances distances = surface_distances(
        mask(prediction), mask(reference), whole_box(header.extent), header.geometry.spacing_mm);
    LabelScores& label = scores.labels[chosen[bit]];
    label.nsd = normalised_surface_dice(distances, tolerance_mm);
    label.hd95_mm = hausdorff_mm(distances, 95.0);
  }
}

}  // namespace

void add_surface_scores(const std::vector<EvaluationLabel>& labels, double tolerance_mm,
                        CaseScores& scores) {
  std::vector<size_t> chosen;
  for (size_t label = 0; label < labels.size(); ++label) {
    const OverlapCounts& counts = scores.labels[label].counts;
    const bool absent = counts.predicted() == 0 && counts.reference() == 0;
    if (!absent && labels[label].key != "0") chosen.push_back(label);
    if (chosen.empty() || (chosen.size() < kLabelsAtOnce && label + 1 < labels.size())) continue;
    score_chosen(labels, chosen, tolerance_mm, scores);
    chosen.clear();
  }
}

}  // namespace wholemount
