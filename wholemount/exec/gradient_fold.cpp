#include "wholemount/exec/gradient_fold.h"

#include <algorithm>
#include <string>

#include "wholemount/base/checked.h"
#include "wholemount/base/error.h"

namespace wholemount {

GradientFold::GradientFold(int64_t batch, int64_t sum_groups) {
  if (batch < 1 || sum_groups < 1) {
    throw ConfigError("train.batch and train.sum_groups must be at least 1, found " +
                      std::to_string(batch) + " and " + std::to_string(sum_groups));
  }
  num_groups_ = std::min(batch, sum_groups);
  samples_.resize(static_cast<size_t>(batch));
  std::vector<int64_t> partial_sums;  // groups each slot stands for, oldest first
  for (int64_t group = 0; group < num_groups_; ++group) {
    const auto slot = static_cast<int32_t>(partial_sums.size());
    num_slots_ = std::max(num_slots_, slot + 1);
    const int64_t begin = group_begin(group);
    const int64_t end = group_begin(group + 1);
    for (int64_t s = begin; s < end; ++s) {
      Sample& entry = samples_[static_cast<size_t>(s)];
      entry.slot = slot;
      entry.accumulate = s > begin;
    }
    partial_sums.push_back(1);
    std::vector<Merge>& merges = samples_[static_cast<size_t>(end - 1)].merges;
    const bool last = group + 1 == num_groups_;
    while (partial_sums.size() >= 2 &&
           (last || partial_sums.back() == partial_sums[partial_sums.size() - 2])) {
      const auto source = static_cast<int32_t>(partial_sums.size()) - 1;
      merges.push_back({source - 1, source});
      const int64_t joined = partial_sums.back();
      partial_sums.pop_back();
      partial_sums.back() += joined;
    }
  }
}

int64_t GradientFold::group_begin(int64_t group) const {
  return checked_multiply(group, batch()) / num_groups_;
}

}  // namespace wholemount
