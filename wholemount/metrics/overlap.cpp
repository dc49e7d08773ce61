#include "wholemount/metrics/overlap.h"

#include <array>

#include "wholemount/base/error.h"
#include "wholemount/tensor/target.h"

namespace wholemount {

namespace {

std::optional<double> ratio(int64_t numerator, int64_t denominator) {
  if (denominator == 0) return std::nullopt;
  return static_cast<double>(numerator) / static_cast<double>(denominator);
}

}  // namespace

OverlapCounts& OverlapCounts::operator+=(const OverlapCounts& other) {
  tp += other.tp;
  fp += other.fp;
  fn += other.fn;
  tn += other.tn;
  return *this;
}

std::optional<double> dice(const OverlapCounts& counts) {
  return ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn);
}

std::optional<double> iou(const OverlapCounts& counts) {
  return ratio(counts.tp, counts.tp + counts.fp + counts.fn);
}

std::optional<double> sensitivity(const OverlapCounts& counts) {
  return ratio(counts.tp, counts.reference());
}

std::optional<double> precision(const OverlapCounts& counts) {
  return ratio(counts.tp, counts.predicted());
}

std::optional<double> specificity(const OverlapCounts& counts) {
  return ratio(counts.tn, counts.tn + counts.fp);
}

std::optional<double> accuracy(const OverlapCounts& counts) {
  return ratio(counts.tp + counts.tn, counts.total());
}

std::optional<double> relative_volume_error(const OverlapCounts& counts) {
  return ratio(counts.predicted() - counts.reference(), counts.reference());
}

double dice_with_empty_as_one(const OverlapCounts& counts) { return dice(counts).value_or(1.0); }

void accumulate_classes(std::span<const uint8_t> prediction, std::span<const uint8_t> reference,
                        std::span<OverlapCounts> counts) {
  WM_CHECK(prediction.size() == reference.size(), "label maps of different size");
  WM_CHECK(counts.size() <= kIgnoreTarget, "at most 255 classes");
  std::array<int64_t, 256> predicted{};
  std::array<int64_t, 256> referenced{};
  std::array<int64_t, 256> agreed{};
  int64_t total = 0;
  for (size_t i = 0; i < prediction.size(); ++i) {
    if (reference[i] == kIgnoreTarget) continue;
    ++total;
    ++predicted[prediction[i]];
    ++referenced[reference[i]];
    agreed[prediction[i]] += prediction[i] == reference[i] ? 1 : 0;
  }
  for (size_t label = 0; label < counts.size(); ++label) {
    const int64_t tp = agreed[label];
    const int64_t fp = predicted[label] - tp;
    const int64_t fn = referenced[label] - tp;
    counts[label] += {tp, fp, fn, total - tp - fp - fn};
  }
}

void accumulate_regions(std::span<const uint8_t> prediction, std::span<const uint8_t> reference,
                        std::span<OverlapCounts> counts) {
  WM_CHECK(prediction.size() == reference.size(), "label maps of different size");
  WM_CHECK(counts.size() <= 7, "at most 7 regions");
  for (size_t region = 0; region < counts.size(); ++region) {
    OverlapCounts sum;
    for (size_t i = 0; i < prediction.size(); ++i) {
      if (reference[i] == kIgnoreTarget) continue;
      const int64_t p = prediction[i] >> region & 1;
      const int64_t t = reference[i] >> region & 1;
      sum.tp += p & t;
      sum.fp += p & ~t & 1;
      sum.fn += ~p & t & 1;
      sum.tn += ~(p | t) & 1;
    }
    counts[region] += sum;
  }
}

std::vector<OverlapCounts> count_overlap(const TensorView& prediction, const TensorView& reference,
                                         const Box3& box, LabelCoding coding, int64_t num_labels) {
  WM_CHECK(prediction.desc.extent == reference.desc.extent, "label maps of different extent");
  WM_CHECK(prediction.desc.dtype == DType::u8 && reference.desc.dtype == DType::u8,
           "label maps are u8");
  std::vector<OverlapCounts> counts(static_cast<size_t>(num_labels));
  const auto width = static_cast<size_t>(box.extent().w);
  if (box.empty()) return counts;
  for (int64_t d = box.begin.d; d < box.end.d; ++d) {
    for (int64_t h = box.begin.h; h < box.end.h; ++h) {
      const std::span p(prediction.at<uint8_t>(0, 0, d, h, box.begin.w), width);
      const std::span t(reference.at<uint8_t>(0, 0, d, h, box.begin.w), width);
      if (coding == LabelCoding::classes) {
        accumulate_classes(p, t, counts);
      } else {
        accumulate_regions(p, t, counts);
      }
    }
  }
  return counts;
}

SoftSums& SoftSums::operator+=(const SoftSums& other) {
  intersection += other.intersection;
  predicted += other.predicted;
  reference += other.reference;
  return *this;
}

SoftSums count_soft_region(const TensorView& probabilities, int64_t channel,
                           const TensorView& reference, uint8_t mask, const Box3& box) {
  WM_CHECK(probabilities.desc.layout == Layout::plain && probabilities.desc.dtype == DType::f32,
           "probabilities are plain f32");
  SoftSums sums;
  for (int64_t d = box.begin.d; d < box.end.d; ++d) {
    for (int64_t h = box.begin.h; h < box.end.h; ++h) {
      const float* p = probabilities.at<float>(0, channel, d, h, box.begin.w);
      const uint8_t* t = reference.at<uint8_t>(0, 0, d, h, box.begin.w);
      for (int64_t w = 0; w < box.end.w - box.begin.w; ++w) {
        if (t[w] == kIgnoreTarget) continue;
        const double probability = static_cast<double>(p[w]);
        sums.predicted += probability;
        if ((t[w] & mask) != 0) {
          sums.intersection += probability;
          sums.reference += 1.0;
        }
      }
    }
  }
  return sums;
}

std::optional<double> soft_dice(const SoftSums& sums, double smooth) {
  const double denominator = sums.predicted + sums.reference + smooth;
  if (denominator == 0.0) return std::nullopt;
  return (2.0 * sums.intersection + smooth) / denominator;
}

std::optional<double> mean_of_defined(std::span<const std::optional<double>> values) {
  double sum = 0.0;
  int64_t count = 0;
  for (const std::optional<double>& value : values) {
    if (!value) continue;
    sum += *value;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return sum / static_cast<double>(count);
}

std::optional<double> pooled_dice(std::span<const OverlapCounts> cases) {
  OverlapCounts sum;
  for (const OverlapCounts& counts : cases) sum += counts;
  return dice(sum);
}

}  // namespace wholemount
