#pragma once

// Only for tests of this folder: whole phantoms in memory, and the best threshold on them.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/data/phantom/brain_phantom.h"
#include "wholemount/metrics/threshold_baseline.h"

namespace wholemount::testing {

struct RenderedCase {
  std::vector<int16_t> image;   // [c, d, h, w]
  std::vector<uint8_t> labels;  // [d, h, w]
};

inline RenderedCase render(uint64_t seed, uint64_t index, const Extent3& extent,
                           int num_threads = 2) {
  const BrainPhantom phantom(seed, index, extent);
  ThreadPool pool(num_threads);
  const auto plane = static_cast<size_t>(extent.h * extent.w);
  const auto voxels = static_cast<size_t>(volume(extent));
  RenderedCase rendered{std::vector<int16_t>(voxels * 4), std::vector<uint8_t>(voxels)};
  pool.run(4 * extent.d, [&](int64_t task, int) {
    phantom.render_plane(
        task / extent.d, task % extent.d,
        std::span(rendered.image).subspan(static_cast<size_t>(task) * plane, plane));
  });
  pool.run(extent.d, [&](int64_t d, int) {
    phantom.render_labels(
        d, std::span(rendered.labels).subspan(static_cast<size_t>(d) * plane, plane));
  });
  return rendered;
}

// Each channel of a case to mean 0 and deviation 1 over the brain, 0 outside.
inline std::vector<float> normalised(std::span<const int16_t> values) {
  double sum = 0;
  double squares = 0;
  double n = 0;
  for (const int16_t value : values) {
    if (value == 0) continue;
    sum += value;
    squares += static_cast<double>(value) * value;
    n += 1;
  }
  const double mean = sum / n;
  const double deviation = std::sqrt(squares / n - mean * mean);
  std::vector<float> out(values.size(), 0.0F);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0) out[i] = static_cast<float>((values[i] - mean) / deviation);
  }
  return out;
}

inline std::vector<double> evenly(double low, double high, int count) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(low + (high - low) * i / (count - 1));
  return values;
}

// The best whole-tumour Dice of a threshold on any channel, either side, on raw and on normalised
// values.
inline double best_threshold_dice(uint64_t seed, int64_t num_cases, const Extent3& extent) {
  std::vector<ThresholdBaseline> baselines;
  for (int channel = 0; channel < 4; ++channel) {
    for (const ThresholdSide side : {ThresholdSide::above, ThresholdSide::below}) {
      baselines.emplace_back(evenly(0, 4000, 801), side);
      baselines.emplace_back(evenly(-4, 8, 601), side);
    }
  }
  const auto voxels = static_cast<size_t>(volume(extent));
  for (int64_t i = 0; i < num_cases; ++i) {
    const RenderedCase rendered = render(seed, static_cast<uint64_t>(i), extent);
    for (size_t channel = 0; channel < 4; ++channel) {
      const auto values = std::span(rendered.image).subspan(channel * voxels, voxels);
      const std::vector<float> raw(values.begin(), values.end());
      const std::vector<float> scaled = normalised(values);
      for (size_t side = 0; side < 2; ++side) {
        baselines[channel * 4 + side * 2].add_case(extent, raw, rendered.labels);
        baselines[channel * 4 + side * 2 + 1].add_case(extent, scaled, rendered.labels);
      }
    }
  }
  double best = 0;
  for (size_t i = 0; i < baselines.size(); ++i) {
    const auto found = baselines[i].best();
    std::printf("[ measured ] seed %d %s channel %d, %s, %s: Dice %.3f at %.2f\n",
                static_cast<int>(seed), to_string(extent).c_str(), static_cast<int>(i / 4),
                i % 4 < 2 ? "above" : "below", i % 2 == 0 ? "raw" : "normalised", found.dice,
                found.threshold);
    best = std::max(best, found.dice);
  }
  return best;
}

}  // namespace wholemount::testing
