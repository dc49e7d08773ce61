#include "wholemount/plan/schedule.h"

#include <algorithm>

namespace wholemount {

namespace {

class Scheduler {
 public:
  Scheduler(const Tape& tape, const Policies& policies) : tape_(tape), policies_(policies) {
    const size_t values = tape.bytes.size();
    newest_.assign(values, kNone);
    refreshed_at_.assign(values, kNone);
    has_policy_.assign(values, false);
    for (const auto& [use, access] : policies.uses)
      has_policy_[static_cast<size_t>(use.value)] = true;
    result_.on_disk.assign(values, false);
    result_.first_version.assign(values, kNone);
    result_.steps.reserve(tape.steps.size());
    result_.versions.reserve(tape.steps.size());
  }

  Schedule run() {
    for (size_t step = 0; step < tape_.steps.size(); ++step) {
      emit(static_cast<int32_t>(step), static_cast<int32_t>(step), kNone);
    }
    return std::move(result_);
  }

 private:
  /// Appends the step, preceded by whatever brings its inputs into the arena. A repetition is done
  /// for the sake of one output, `wanted`.
  void emit(int32_t tape_step, int32_t anchor, ValueId wanted) {
    const TapeStep& step = tape_.steps[static_cast<size_t>(tape_step)];
    ScheduledStep scheduled;
    scheduled.tape_step = tape_step;
    scheduled.anchor = anchor;
    scheduled.stored.resize(step.stored.size());
    scheduled.statistics.assign(step.statistics.size(), kNone);
    scheduled.outputs.resize(step.outputs.size());
    // Bringing one input may bring another on the way, so first all of them, then who is where.
    for (size_t i = 0; i < step.stored.size(); ++i) {
      bring(step.stored[i], tape_step, anchor);
      bring(step.statistics[i], tape_step, anchor);
    }
    const auto index = static_cast<int32_t>(result_.steps.size());
    for (size_t i = 0; i < step.stored.size(); ++i) {
      scheduled.stored[i] = read(step.stored[i], tape_step, anchor, index);
      scheduled.statistics[i] = read(step.statistics[i], tape_step, anchor, index).version;
    }
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      scheduled.outputs[i] = write(step.outputs[i], index, anchor != tape_step, wanted);
    }
    result_.steps.push_back(std::move(scheduled));
  }

  [[nodiscard]] const Access* policy(const Use& use) const {
    if (!has_policy_[static_cast<size_t>(use.value)]) return nullptr;
    const auto found = policies_.uses.find(use);
    return found == policies_.uses.end() ? nullptr : &found->second;
  }

  void bring(ValueId value, int32_t reader, int32_t anchor) {
    if (value == kNone) {
      return;
    }
    const auto v = static_cast<size_t>(value);
    const Use use{value, reader, anchor};
    const Access* access = policy(use);
    if (access != nullptr && *access == Access::stream) {
      return;
    }
    if (refreshed_at_[v] == anchor) {
      return;
    }
    const Use own{value, anchor, anchor};
    const Access* chosen = access;
    Use reason = use;
    if (chosen == nullptr && reader != anchor) {
      // The step this one is repeated for brings the value itself a moment later: do it now.
      const Access* later = policy(own);
      if (later != nullptr && *later != Access::stream) {
        chosen = later;
        reason = own;
      }
    }
    Access what = Access::reload;
    if (chosen != nullptr) {
      what = *chosen;
    } else if (newest_[v] != kNone) {
      return;
    }
    refreshed_at_[v] = anchor;
    if (what == Access::recompute) {
      repeat(value, anchor, reason);
      return;
    }
    Version version;
    version.value = value;
    version.origin = Version::Origin::reloaded;
    version.use = reason;
    newest_[v] = add(std::move(version));
    result_.on_disk[v] = true;
  }

  void repeat(ValueId value, int32_t anchor, const Use& reason) {
    const int32_t producer = tape_.producer[static_cast<size_t>(value)];
    emit(producer, anchor, value);
    Version& version = result_.versions[static_cast<size_t>(newest_[static_cast<size_t>(value)])];
    version.use = reason;
  }

  Operand read(ValueId value, int32_t reader, int32_t anchor, int32_t index) {
    Operand operand;
    if (value == kNone) {
      return operand;
    }
    const Access* access = policy({value, reader, anchor});
    if (access != nullptr && *access == Access::stream) {
      result_.on_disk[static_cast<size_t>(value)] = true;
      operand.streamed = true;
      return operand;
    }
    operand.version = newest_[static_cast<size_t>(value)];
    Version& version = result_.versions[static_cast<size_t>(operand.version)];
    if (version.created == kNone) {
      version.created = index;
    }
    if (version.reads.empty() || version.reads.back() != index) {
      version.reads.push_back(index);
    }
    return operand;
  }

  Operand write(ValueId value, int32_t index, bool repeated, ValueId wanted) {
    Operand operand;
    if (value == kNone) {
      return operand;
    }
    const auto v = static_cast<size_t>(value);
    if (!repeated && policies_.streamed_out.contains(value)) {
      operand.streamed = true;
      result_.on_disk[v] = true;
      return operand;
    }
    Version version;
    version.value = value;
    version.origin = repeated ? Version::Origin::recomputed : Version::Origin::computed;
    version.created = index;
    operand.version = add(std::move(version));
    if (!repeated || value == wanted) {
      newest_[v] = operand.version;
    }
    if (!repeated) {
      result_.first_version[v] = operand.version;
    }
    return operand;
  }

  int32_t add(Version version) {
    result_.versions.push_back(std::move(version));
    return static_cast<int32_t>(result_.versions.size()) - 1;
  }

  const Tape& tape_;
  const Policies& policies_;
  Schedule result_;
  std::vector<int32_t> newest_;        ///< by ValueId: its latest version; kNone
  std::vector<bool> has_policy_;       ///< by ValueId: some reading of it has one
  std::vector<int32_t> refreshed_at_;  ///< by ValueId: anchor of its latest refresh
};

}  // namespace

Schedule make_schedule(const Tape& tape, const Policies& policies) {
  return Scheduler(tape, policies).run();
}

}  // namespace wholemount
