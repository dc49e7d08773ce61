// Drawn cells must be told apart by form: brightness alone is not enough.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "wholemount/data/phantom/cell_phantom.h"

namespace wholemount {
namespace {

constexpr size_t kClasses = 13;
constexpr size_t kBins = 64;
constexpr size_t kFeatures = 3 * kBins + 1;
constexpr int64_t kHeight = 256;
constexpr int64_t kWidth = 320;

/// Shares of the pixels in 64 bins between the channel's 0.1 and 99.9 percentile, and 1.
std::vector<double> histogram_features(const CellFieldSpec& spec) {
  std::vector<uint16_t> pixels(static_cast<size_t>(3 * kHeight * kWidth));
  draw_cell_field(spec, pixels);
  std::vector<double> features(kFeatures, 0.0);
  features.back() = 1.0;
  const size_t size = pixels.size() / 3;
  for (size_t channel = 0; channel < 3; ++channel) {
    // 0 to 12,000 covers all fields: a common scale for all, as a camera gives it.
    for (size_t i = 0; i < size; ++i) {
      const size_t bin = std::min<size_t>(kBins - 1, pixels[channel * size + i] * kBins / 12'000);
      features[channel * kBins + bin] += 1.0 / static_cast<double>(size);
    }
  }
  return features;
}

struct Sample {
  std::vector<double> features;
  size_t truth = 0;
};

/// Multinomial logistic regression on standardised features by full-batch gradient descent with
/// momentum and a little decay; returns the share of `test` it gets right.
double logistic_regression(std::vector<Sample> train, std::vector<Sample> test) {
  for (size_t f = 0; f + 1 < kFeatures; ++f) {
    double mean = 0;
    double square = 0;
    for (const Sample& s : train) mean += s.features[f] / static_cast<double>(train.size());
    for (const Sample& s : train) {
      square += std::pow(s.features[f] - mean, 2) / static_cast<double>(train.size());
    }
    const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
    for (auto* part : {&train, &test}) {
      for (Sample& s : *part) s.features[f] = (s.features[f] - mean) * scale;
    }
  }
  std::vector<double> weights(kClasses * kFeatures, 0.0);
  std::vector<double> velocity(weights.size(), 0.0);
  const auto scores = [&](const Sample& s) {
    std::vector<double> result(kClasses, 0.0);
    for (size_t k = 0; k < kClasses; ++k) {
      for (size_t f = 0; f < kFeatures; ++f)
        result[k] += weights[k * kFeatures + f] * s.features[f];
    }
    return result;
  };
  for (int step = 0; step < 600; ++step) {
    std::vector<double> gradient(weights.size(), 0.0);
    for (const Sample& s : train) {
      std::vector<double> p = scores(s);
      const double largest = *std::max_element(p.begin(), p.end());
      double total = 0;
      for (double& value : p) total += value = std::exp(value - largest);
      for (size_t k = 0; k < kClasses; ++k) {
        const double d = p[k] / total - (k == s.truth ? 1.0 : 0.0);
        for (size_t f = 0; f < kFeatures; ++f) {
          gradient[k * kFeatures + f] += d * s.features[f] / static_cast<double>(train.size());
        }
      }
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      velocity[i] = 0.9 * velocity[i] + gradient[i] + 1e-3 * weights[i];
      weights[i] -= 0.1 * velocity[i];
    }
  }
  size_t right = 0;
  for (const Sample& s : test) {
    const std::vector<double> p = scores(s);
    const auto best = std::max_element(p.begin(), p.end()) - p.begin();
    right += static_cast<size_t>(best) == s.truth ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(test.size());
}

TEST(SlowCellPhantom, histograms_alone_tell_at_most_60_percent_of_13_phenotypes) {
  std::vector<Sample> train;
  std::vector<Sample> test;
  uint64_t field = 0;
  for (uint64_t round = 0; round < 26; ++round) {
    for (size_t k = 0; k < kClasses; ++k) {
      const CellFieldSpec spec{kHeight, kWidth, static_cast<int64_t>(k), 1, round / 4, field++};
      (round % 4 == 3 ? test : train).push_back({histogram_features(spec), k});
    }
  }
  const double share = logistic_regression(train, test);
  std::printf("logistic regression on histograms: %.3f of %zu fields\n", share, test.size());
  EXPECT_LE(share, 0.60);
}

}  // namespace
}  // namespace wholemount
