#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace wholemount {

/// The fixed shape of a batch's gradient sum.
///
/// The batch of B samples is cut into G' = min(B, sum_groups) contiguous groups, group i holding
/// the samples [i * B / G', (i + 1) * B / G'). Inside a group gradients are added in rising order
/// of the sample (a left fold). The group sums are joined by a binary tree built as groups arrive,
/// the way a binary counter carries: whenever the two newest partial sums stand for equally many
/// groups, the newer is added to the older; what is left at the end is joined from the newest to
/// the oldest. For 7 groups: ((g0+g1)+(g2+g3)) + ((g4+g5)+g6). The sum is therefore a function of
/// batch and sum_groups alone: never of micro-batch, budget, threads or workers.
///
/// Partial sums live in numbered gradient slots (ParameterStore); the final sum ends in slot 0.
class GradientFold {
 public:
  /// slot[destination] += slot[source]; afterwards the content of the source is no longer wanted.
  struct Merge {
    int32_t destination = 0;
    int32_t source = 0;
    friend bool operator==(const Merge&, const Merge&) = default;
  };

  /// What happens with the gradient of one sample.
  struct Sample {
    int32_t slot = 0;           ///< slot the sample's gradient goes to
    bool accumulate = false;    ///< false: overwrite the slot; true: add to it
    std::vector<Merge> merges;  ///< to be done, in this order, after the sample
  };

  /// Throws ConfigError unless batch >= 1 and sum_groups >= 1.
  GradientFold(int64_t batch, int64_t sum_groups);

  [[nodiscard]] int64_t batch() const { return static_cast<int64_t>(samples_.size()); }
  /// G' = min(batch, sum_groups).
  [[nodiscard]] int64_t num_groups() const { return num_groups_; }
  /// The first sample of group `group`; group may be num_groups(), which gives the batch.
  [[nodiscard]] int64_t group_begin(int64_t group) const;
  /// Gradient slots in use at most; bit_width(G'), 4 for the default 8.
  [[nodiscard]] int32_t num_slots() const { return num_slots_; }
  [[nodiscard]] const Sample& sample(int64_t index) const {
    return samples_[static_cast<size_t>(index)];
  }

 private:
  std::vector<Sample> samples_;
  int64_t num_groups_ = 1;
  int32_t num_slots_ = 1;
};

}  // namespace wholemount
