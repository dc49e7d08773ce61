#include "wholemount/metrics/classification.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "wholemount/base/error.h"

namespace wholemount {

ConfusionMatrix::ConfusionMatrix(int64_t classes)
    : classes_(classes), counts_(static_cast<size_t>(classes * classes), 0) {}

void ConfusionMatrix::add(int64_t truth, int64_t called, int64_t times) {
  WM_CHECK(truth >= 0 && truth < classes_ && called >= 0 && called < classes_,
           "a class outside the confusion matrix");
  counts_[static_cast<size_t>(truth * classes_ + called)] += times;
}

int64_t ConfusionMatrix::at(int64_t truth, int64_t called) const {
  return counts_[static_cast<size_t>(truth * classes_ + called)];
}

int64_t ConfusionMatrix::total() const {
  int64_t sum = 0;
  for (const int64_t count : counts_) sum += count;
  return sum;
}

int64_t ConfusionMatrix::right() const {
  int64_t sum = 0;
  for (int64_t k = 0; k < classes_; ++k) sum += at(k, k);
  return sum;
}

int64_t ConfusionMatrix::of_class(int64_t truth) const {
  int64_t sum = 0;
  for (int64_t k = 0; k < classes_; ++k) sum += at(truth, k);
  return sum;
}

int64_t rank_of_truth(std::span<const float> scores, int64_t truth) {
  const float own = scores[static_cast<size_t>(truth)];
  int64_t before = 0;
  for (int64_t k = 0; k < static_cast<int64_t>(scores.size()); ++k) {
    const float other = scores[static_cast<size_t>(k)];
    if (other > own || (other == own && k < truth)) ++before;
  }
  return before;
}

namespace {

double cosine(const std::vector<double>& a, const std::vector<double>& b) {
  double product = 0;
  double squares_a = 0;
  double squares_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    product += a[i] * b[i];
    squares_a += a[i] * a[i];
    squares_b += b[i] * b[i];
  }
  const double norm = std::sqrt(squares_a) * std::sqrt(squares_b);
  return norm > 0 ? product / norm : 0.0;
}

}  // namespace

NeighbourScore neighbour_score(std::span<const TreatmentProfile> profiles, bool other_batch) {
  NeighbourScore score;
  for (const TreatmentProfile& profile : profiles) {
    double best = -std::numeric_limits<double>::infinity();
    const TreatmentProfile* nearest = nullptr;
    bool possible = false;  // a neighbour of the right mechanism is left
    for (const TreatmentProfile& other : profiles) {
      if (other.compound == profile.compound || (other_batch && other.batch == profile.batch)) {
        continue;
      }
      possible = possible || other.mechanism == profile.mechanism;
      const double similarity = cosine(profile.features, other.features);
      if (nearest == nullptr || similarity > best) {
        best = similarity;
        nearest = &other;
      }
    }
    if (nearest == nullptr || (other_batch && !possible)) continue;
    ++score.treatments;
    score.right += nearest->mechanism == profile.mechanism ? 1 : 0;
  }
  return score;
}

}  // namespace wholemount
