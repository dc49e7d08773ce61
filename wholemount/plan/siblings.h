#pragma once

#include <cstdint>
#include <vector>

#include "wholemount/plan/candidates.h"

namespace wholemount {

/// Where a program holds many samples, every sample has the same steps. A change of the policies of
/// one sample's values has its like in all others; the search makes them together.
class Siblings {
 public:
  /// Finds which steps of the samples stand for each other: those of equal position among their
  /// sample's. A tape of one sample, or whose samples differ, has no siblings.
  explicit Siblings(const Tape& tape);

  [[nodiscard]] bool any() const { return num_samples_ > 1; }
  /// The same for every sample, that of the first sample first; only itself when it concerns what
  /// joins samples.
  [[nodiscard]] std::vector<Change> of(const Change& change) const;
  [[nodiscard]] std::vector<Use> of(const Use& use) const;
  [[nodiscard]] std::vector<ValueId> of(ValueId value) const;
  /// of(change).front()
  [[nodiscard]] Change first(const Change& change) const;

 private:
  [[nodiscard]] int32_t step_for(int32_t step, int32_t sample) const;
  [[nodiscard]] ValueId value_for(ValueId value, int32_t sample) const;
  [[nodiscard]] Use use_for(const Use& use, int32_t sample) const;
  template <typename T, typename For>
  [[nodiscard]] std::vector<T> all(const T& item, For for_sample) const;

  const Tape& tape_;
  int32_t num_samples_ = 1;
  std::vector<int32_t> position_;            ///< by tape step: within its sample; kNone when joined
  std::vector<std::vector<int32_t>> steps_;  ///< by sample and position
};

}  // namespace wholemount
