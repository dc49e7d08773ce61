#include "wholemount/plan/siblings.h"

#include <algorithm>

namespace wholemount {

Siblings::Siblings(const Tape& tape) : tape_(tape), position_(tape.steps.size(), kNone) {
  const int32_t samples = tape.graph->num_samples;
  if (samples < 2) return;
  steps_.resize(static_cast<size_t>(samples));
  for (size_t step = 0; step < tape.steps.size(); ++step) {
    const int32_t sample = tape.node_of(step).sample;
    if (sample == kNone) continue;
    std::vector<int32_t>& own = steps_[static_cast<size_t>(sample)];
    position_[step] = static_cast<int32_t>(own.size());
    own.push_back(static_cast<int32_t>(step));
  }
  const std::vector<int32_t>& first = steps_.front();
  for (const std::vector<int32_t>& other : steps_) {
    if (other.size() != first.size()) return;
    for (size_t i = 0; i < other.size(); ++i) {
      const TapeStep& a = tape.steps[static_cast<size_t>(first[i])];
      const TapeStep& b = tape.steps[static_cast<size_t>(other[i])];
      const auto absent = [](ValueId x, ValueId y) { return (x == kNone) == (y == kNone); };
      if (a.stored.size() != b.stored.size() || a.backward != b.backward ||
          a.kernel->name() != b.kernel->name() ||
          !std::equal(a.outputs.begin(), a.outputs.end(), b.outputs.begin(), b.outputs.end(),
                      absent)) {
        return;
      }
    }
  }
  num_samples_ = samples;
}

int32_t Siblings::step_for(int32_t step, int32_t sample) const {
  if (step == kNone || position_[static_cast<size_t>(step)] == kNone) return step;
  const auto position = static_cast<size_t>(position_[static_cast<size_t>(step)]);
  return steps_[static_cast<size_t>(sample)][position];
}

ValueId Siblings::value_for(ValueId value, int32_t sample) const {
  const int32_t producer = tape_.producer[static_cast<size_t>(value)];
  const int32_t other = step_for(producer, sample);
  if (other == producer) return value;
  const std::vector<ValueId>& outputs = tape_.steps[static_cast<size_t>(producer)].outputs;
  const auto output = std::find(outputs.begin(), outputs.end(), value) - outputs.begin();
  return tape_.steps[static_cast<size_t>(other)].outputs[static_cast<size_t>(output)];
}

Use Siblings::use_for(const Use& use, int32_t sample) const {
  return {value_for(use.value, sample), step_for(use.reader, sample), step_for(use.anchor, sample)};
}

template <typename T, typename For>
std::vector<T> Siblings::all(const T& item, For for_sample) const {
  std::vector<T> result{any() ? for_sample(0) : item};
  for (int32_t sample = 1; sample < num_samples_; ++sample) {
    T other = for_sample(sample);
    if (other == result.front()) break;
    result.push_back(std::move(other));
  }
  return result;
}

std::vector<ValueId> Siblings::of(ValueId value) const {
  return all(value, [&](int32_t sample) { return value_for(value, sample); });
}

std::vector<Use> Siblings::of(const Use& use) const {
  return all(use, [&](int32_t sample) { return use_for(use, sample); });
}

Change Siblings::first(const Change& change) const {
  if (!any()) return change;
  Change other = change;
  other.use = use_for(change.use, 0);
  return other;
}

std::vector<Change> Siblings::of(const Change& change) const {
  return all(change, [&](int32_t sample) {
    Change other = change;
    other.use = use_for(change.use, sample);
    return other;
  });
}

}  // namespace wholemount
