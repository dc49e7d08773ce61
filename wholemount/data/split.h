#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// How cases are divided. Fractions lie in [0, 1]; their sum is at most 1.
struct SplitSpec {
  uint64_t seed = 816;
  double train = 0.85;
  double validation = 0.075;
  double test = 0.075;
  /// "case", or the group that is never divided: "field", "well", "plate", "batch", "compound" ...
  /// Augmented copies of a field (group "source") stand in one part, of which all train, and the
  /// field itself validates or tests. "copy" divides the copies singly, as paper B did: see
  /// split_leaks.
  std::string by = "case";
  /// k-fold: the groups are dealt in turn to so many folds, and fold `fold` validates; the
  /// fractions are not used. None: fractions.
  std::optional<int64_t> folds = std::nullopt;
  int64_t fold = 0;
  /// This group alone validates, e.g. one compound of by = "compound"; goes before folds.
  std::string hold_out = {};
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

/// Divides the cases of a data set by spec.by: cases that share the group stand in one part. Groups
/// are permuted (make_split) and dealt so that the fractions hold for their number. With folds,
/// groups are dealt class by class where each group has one class, so that folds hold equal shares
/// of every class. Throws ConfigError as make_split does, and for a group the cases do not have, a
/// fold that does not exist, or a hold_out that names none.
[[nodiscard]] Split split_dataset(const Dataset& dataset, const SplitSpec& spec);

/// True where copies of one field (group "source") stand in the training part and in another, so
/// that scores say how well fields were learnt by heart.
[[nodiscard]] bool split_leaks(const Dataset& dataset, const Split& split);

/// What reports, logs and summaries say about such a split.
inline constexpr const char* kLeakWarning =
    "LEAKING SPLIT: augmented copies of the same fields stand in training and validation. The "
    "scores cannot be compared with those of any split that keeps fields, wells or compounds "
    "apart";

/// Throws ConfigError when a class of the data set has no image in the training part.
void check_classes_of_split(const Dataset& dataset, const Split& split);

/// The cases of an epoch with every class as often as any other: rounds in which each class gives
/// one case, until there are as many as `cases`; a class with fewer cases starts again. A pure
/// function of (seed, epoch, the list given).
[[nodiscard]] std::vector<int64_t> balance_for_epoch(const std::vector<int64_t>& cases,
                                                     const Dataset& dataset, uint64_t seed,
                                                     uint64_t epoch);

/// The cases of an epoch in training order: a permutation that is a pure function of
/// (seed, epoch, the list given).
[[nodiscard]] std::vector<int64_t> shuffle_for_epoch(std::vector<int64_t> cases, uint64_t seed,
                                                     uint64_t epoch);

}  // namespace wholemount
