#pragma once

#include <cstdint>
#include <vector>

namespace wholemount {

/// How cases are divided. Fractions lie in [0, 1]; their sum is at most 1.
struct SplitSpec {
  uint64_t seed = 816;
  double train = 0.85;
  double validation = 0.075;
  double test = 0.075;
};

/// Case indices of each part; no case is in two of them.
struct Split {
  std::vector<int64_t> train;
  std::vector<int64_t> validation;
  std::vector<int64_t> test;
};

/// Divides `num_cases` cases along a permutation that depends on the seed alone. The part ends at
/// floor(num_cases * (sum of the fractions so far)): 484 cases at 0.85 / 0.075 / 0.075 give paper
/// A's 411 / 36 / 37. Throws ConfigError for a fraction outside [0, 1], a sum above 1, and an empty
/// part whose fraction is above 0.
[[nodiscard]] Split make_split(int64_t num_cases, const SplitSpec& spec);

/// The cases of an epoch in training order: a permutation that is a pure function of
/// (seed, epoch, the list given).
[[nodiscard]] std::vector<int64_t> shuffle_for_epoch(std::vector<int64_t> cases, uint64_t seed,
                                                     uint64_t epoch);

}  // namespace wholemount
