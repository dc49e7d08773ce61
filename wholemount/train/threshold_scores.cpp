#include "wholemount/train/threshold_scores.h"

#include <fmt/format.h>

#include <limits>
#include <span>
#include <utility>

#include "wholemount/base/checked.h"
#include "wholemount/tensor/target.h"

namespace wholemount {

namespace {

constexpr int kSteps = 600;
constexpr double kLowest = -4.0;
constexpr double kStep = 0.02;

std::vector<double> tried_thresholds() {
  std::vector<double> thresholds;
  for (int i = 0; i <= kSteps; ++i) thresholds.push_back(kLowest + kStep * i);
  return thresholds;
}

/// One channel, side and output, over all cases.
struct Trial {
  size_t channel = 0;
  size_t output = 0;
  ThresholdSide side = ThresholdSide::above;
  ThresholdBaseline baseline;
};

/// A case as plain volumes: what ThresholdBaseline reads.
class PlainCase {
 public:
  PlainCase(int64_t channels, const TaskSpec& task)
      : task_(task), values_(static_cast<size_t>(channels)), truth_(task.outputs.size()) {}

  void read(const LoadedCase& loaded) {
    extent_ = loaded.placement.valid.extent();
    // Checked here because tasks of the pool must not throw.
    if (volume(extent_) > std::numeric_limits<int32_t>::max()) {
      throw ShapeError(loaded.id +
                       ": the threshold baseline takes volumes below 2^31 voxels, found " +
                       to_string(extent_));
    }
    const auto voxels = static_cast<size_t>(volume(extent_));
    for (auto& values : values_) {
      values.clear();
      values.reserve(voxels);
    }
    for (auto& truth : truth_) {
      truth.clear();
      truth.reserve(voxels);
    }
    const Extent3& begin = loaded.placement.valid.begin;
    for (int64_t d = 0; d < extent_.d; ++d) {
      for (int64_t h = 0; h < extent_.h; ++h) {
        read_row(loaded, {begin.d + d, begin.h + h, begin.w});
      }
    }
  }

  [[nodiscard]] const Extent3& extent() const { return extent_; }
  [[nodiscard]] std::span<const float> values(size_t channel) const { return values_[channel]; }
  [[nodiscard]] std::span<const uint8_t> truth(size_t output) const { return truth_[output]; }

 private:
  void read_row(const LoadedCase& loaded, const Extent3& at) {
    const auto* codes = loaded.target->at<const uint8_t>(0, 0, at.d, at.h, at.w);
    for (size_t k = 0; k < truth_.size(); ++k) {
      for (int64_t w = 0; w < extent_.w; ++w) {
        const bool inside =
            task_.target == TargetKind::classes ? codes[w] == k : (codes[w] >> k & 1U) != 0;
        truth_[k].push_back(inside && codes[w] != kIgnoreTarget ? 1 : 0);
      }
    }
    const int64_t width = loaded.image.desc.block_width();
    for (size_t channel = 0; channel < values_.size(); ++channel) {
      const auto c = static_cast<int64_t>(channel);
      const auto* row = loaded.image.at<const float>(0, c / width, at.d, at.h, at.w) + c % width;
      for (int64_t w = 0; w < extent_.w; ++w) {
        // Voxels nobody labelled count neither way, as in the network's score.
        values_[channel].push_back(codes[w] == kIgnoreTarget ? 0.0F : row[w * width]);
      }
    }
  }

  const TaskSpec& task_;
  Extent3 extent_{};
  std::vector<std::vector<float>> values_;   ///< by channel, [d, h, w]
  std::vector<std::vector<uint8_t>> truth_;  ///< by output
};

}  // namespace

std::vector<ThresholdScore> best_threshold_scores(const EvaluationCases& cases, const DataJob& data,
                                                  ThreadPool& pool) {
  const TaskSpec& task = data.job.task;
  const size_t first_output = task.target == TargetKind::classes ? 1 : 0;
  LoadSpec load = *cases.load;
  load.normalise.kind = NormaliseKind::zscore_nonzero;
  std::vector<Trial> trials;
  for (size_t output = first_output; output < task.outputs.size(); ++output) {
    for (size_t channel = 0; channel < load.channels.size(); ++channel) {
      for (const ThresholdSide side : {ThresholdSide::above, ThresholdSide::below}) {
        trials.push_back({channel, output, side, ThresholdBaseline(tried_thresholds(), side)});
      }
    }
  }
  std::vector<CaseRequest> order;
  for (const int64_t index : cases.indices) order.push_back({index, 0});
  CaseStream stream(cases.cases, load, cases.staging, std::move(order), cases.memory);
  PlainCase plain(static_cast<int64_t>(load.channels.size()), task);
  while (const LoadedCase* loaded = stream.next()) {
    plain.read(*loaded);
    stream.release(loaded);
    pool.run(static_cast<int64_t>(trials.size()), [&](int64_t task_number, int) {
      Trial& trial = trials[static_cast<size_t>(task_number)];
      trial.baseline.add_case(plain.extent(), plain.values(trial.channel),
                              plain.truth(trial.output));
    });
  }
  std::vector<ThresholdScore> scores;
  for (size_t output = first_output; output < task.outputs.size(); ++output) {
    ThresholdScore score;
    score.output = task.outputs[output];
    for (const Trial& trial : trials) {
      const ThresholdBaseline::Best best = trial.baseline.best();
      if (trial.output != output || (best.dice <= score.dice && !score.channel.empty())) continue;
      const auto channel = static_cast<size_t>(load.channels[trial.channel]);
      score.channel = data.dataset.channel_names[channel];
      score.side = trial.side;
      score.threshold = best.threshold;
      score.dice = best.dice;
    }
    scores.push_back(std::move(score));
  }
  return scores;
}

size_t threshold_scratch_bytes(const TaskSpec& task, int64_t voxels, int threads) {
  // ThresholdBaseline takes 17 bytes a voxel, and its list of voxels may grow to twice its size.
  const int64_t kept =
      checked_add(checked_multiply(task.in_channels, 4), static_cast<int64_t>(task.outputs.size()));
  return static_cast<size_t>(
      checked_multiply(voxels, checked_add(kept, checked_multiply(int64_t{threads}, 21))));
}

std::string threshold_rule(const ThresholdScore& score) {
  return fmt::format("{} {} {:.2f} sd", score.channel,
                     score.side == ThresholdSide::above ? "above" : "below", score.threshold);
}

}  // namespace wholemount
