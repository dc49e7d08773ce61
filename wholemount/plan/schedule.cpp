#include "wholemount/plan/schedule.h"

#include <algorithm>

namespace wholemount {

namespace {

class Scheduler {
 public:
  Scheduler(const Tape& tape, const Policies& policies, Schedule& result)
      : tape_(tape), policies_(policies), result_(result) {
    const size_t values = tape.bytes.size();
    newest_.assign(values, kNone);
    refreshed_at_.assign(values, kNone);
    half_use_.assign(values, {});
    first_policy_.assign(values, kNone);
    const auto entries = policies.uses.begin();
    for (size_t i = policies.uses.size(); i-- > 0;) {
      first_policy_[static_cast<size_t>(entries[static_cast<std::ptrdiff_t>(i)].first.value)] =
          static_cast<int32_t>(i);
    }
    streamed_out_.assign(values, false);
    for (const ValueId value : policies.streamed_out) {
      streamed_out_[static_cast<size_t>(value)] = true;
    }
    for (const auto& [use, access] : policies.uses) {
      if (access != Access::half) continue;
      const HalfStorage* half = tape.half_of(use.value);
      if (half != nullptr) shrinks_.emplace_back(half->after, use.value);
    }
    std::sort(shrinks_.begin(), shrinks_.end());
    shrinks_.erase(std::unique(shrinks_.begin(), shrinks_.end()), shrinks_.end());
    result_.on_disk.assign(values, false);
    result_.first_version.assign(values, kNone);
  }

  void run() {
    auto shrink_next = shrinks_.begin();
    for (int32_t step = 0; step < static_cast<int32_t>(tape_.num_own_steps); ++step) {
      emit(step, step, kNone);
      for (; shrink_next != shrinks_.end() && shrink_next->first == step; ++shrink_next) {
        shrink(shrink_next->second);
      }
    }
    result_.steps.resize(num_steps_);
    result_.versions.resize(num_versions_);
  }

 private:
  /// Appends the step, preceded by whatever brings its inputs into the arena. A repetition is done
  /// for the sake of one output, `wanted`.
  void emit(int32_t tape_step, int32_t anchor, ValueId wanted) {
    const TapeStep& step = tape_.steps[static_cast<size_t>(tape_step)];
    // Bringing one input may bring another on the way, so first all of them, then who is where.
    for (size_t i = 0; i < step.stored.size(); ++i) {
      bring(step.stored[i], tape_step, anchor);
      bring(step.statistics[i], tape_step, anchor);
    }
    for (size_t i = 0; i < step.stored.size(); ++i) {
      expand_unless_read(step.stored[i], tape_step, anchor);
      expand_unless_read(step.statistics[i], tape_step, anchor);
    }
    const auto index = static_cast<int32_t>(num_steps_);
    ScheduledStep& scheduled = append(tape_step, anchor);
    for (size_t i = 0; i < step.stored.size(); ++i) {
      scheduled.stored[i] = read(step.stored[i], tape_step, anchor, index);
      scheduled.statistics[i] = read(step.statistics[i], tape_step, anchor, index).version;
    }
    for (size_t i = 0; i < step.outputs.size(); ++i) {
      const bool repeated = anchor != tape_step;
      // Nobody reads the other outputs of a repetition. They are left out, and so is their work;
      // all but the first, from which an operator may make them.
      const bool left_out = repeated && i > 0 && step.outputs[i] != wanted;
      scheduled.outputs[i] = left_out ? Operand{} : write(step.outputs[i], index, repeated, wanted);
    }
  }

  ScheduledStep& append(int32_t tape_step, int32_t anchor) {
    const TapeStep& step = tape_.steps[static_cast<size_t>(tape_step)];
    // Steps left by an earlier schedule are written over: they keep the memory of their vectors.
    if (num_steps_ == result_.steps.size()) result_.steps.emplace_back();
    ScheduledStep& scheduled = result_.steps[num_steps_++];
    scheduled.tape_step = tape_step;
    scheduled.anchor = anchor;
    scheduled.stored.resize(step.stored.size());
    scheduled.statistics.resize(step.statistics.size());
    scheduled.outputs.resize(step.outputs.size());
    return scheduled;
  }

  /// Rounds what the arena holds of a value; nothing where it was streamed past the arena.
  void shrink(ValueId value) {
    if (newest_[static_cast<size_t>(value)] == kNone) return;
    const HalfStorage& half = *tape_.half_of(value);
    const auto index = static_cast<int32_t>(num_steps_);
    ScheduledStep& scheduled = append(half.shrink, half.shrink);
    scheduled.stored[0] = read(value, half.shrink, half.shrink, index);
    scheduled.statistics[0] = kNone;
    scheduled.outputs[0] = write(half.value, index, false, kNone);
  }

  /// The value's half becomes what its readings from here on find; false when there is none.
  bool turn_to_half(ValueId value, const Use& reason) {
    const HalfStorage* half = tape_.half_of(value);
    if (half == nullptr || newest_[static_cast<size_t>(half->value)] == kNone) return false;
    newest_[static_cast<size_t>(value)] = newest_[static_cast<size_t>(half->value)];
    half_use_[static_cast<size_t>(value)] = reason;
    return true;
  }

  [[nodiscard]] bool is_half(ValueId value, int32_t version) const {
    return result_.versions[static_cast<size_t>(version)].value != value;
  }

  /// Where the step would find the value's half and cannot read it: expands it.
  void expand_unless_read(ValueId value, int32_t reader, int32_t anchor) {
    if (value == kNone || newest_[static_cast<size_t>(value)] == kNone ||
        !is_half(value, newest_[static_cast<size_t>(value)]) || tape_.reads_half(reader, value)) {
      return;
    }
    const Use use{value, reader, anchor};
    const Access* access = policy(use);
    if (access != nullptr && *access == Access::stream) return;
    const HalfStorage& half = *tape_.half_of(value);
    const auto index = static_cast<int32_t>(num_steps_);
    ScheduledStep& scheduled = append(half.expand, anchor);
    scheduled.stored[0] = read(half.value, half.expand, anchor, index);
    scheduled.statistics[0] = kNone;
    scheduled.outputs[0] = Operand{add(value, Version::Origin::expanded, index)};
    newest_[static_cast<size_t>(value)] = scheduled.outputs[0].version;
    const bool wanted_now = refreshed_at_[static_cast<size_t>(value)] == anchor;
    result_.versions[static_cast<size_t>(scheduled.outputs[0].version)].use =
        wanted_now ? half_use_[static_cast<size_t>(value)] : use;
  }

  [[nodiscard]] const Access* policy(const Use& use) const {
    const int32_t first = first_policy_[static_cast<size_t>(use.value)];
    if (first == kNone) return nullptr;
    const auto end = policies_.uses.end();
    for (auto entry = policies_.uses.begin() + first;
         entry != end && entry->first.value == use.value; ++entry) {
      if (entry->first == use) return &entry->second;
    }
    return nullptr;
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
    if (what == Access::half && turn_to_half(value, reason)) return;
    newest_[v] = add(value, Version::Origin::reloaded, kNone);
    result_.versions[static_cast<size_t>(newest_[v])].use = reason;
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
    operand.half = is_half(value, operand.version);
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
    if (!repeated && streamed_out_[v]) {
      operand.streamed = true;
      result_.on_disk[v] = true;
      return operand;
    }
    operand.version =
        add(value, repeated ? Version::Origin::recomputed : Version::Origin::computed, index);
    if (!repeated || value == wanted) {
      newest_[v] = operand.version;
    }
    if (!repeated) {
      result_.first_version[v] = operand.version;
    }
    return operand;
  }

  int32_t add(ValueId value, Version::Origin origin, int32_t created) {
    if (num_versions_ == result_.versions.size()) result_.versions.emplace_back();
    Version& version = result_.versions[num_versions_];
    version.value = value;
    version.origin = origin;
    version.created = created;
    version.reads.clear();
    version.use = {};
    return static_cast<int32_t>(num_versions_++);
  }

  const Tape& tape_;
  const Policies& policies_;
  Schedule& result_;
  size_t num_steps_ = 0;
  size_t num_versions_ = 0;
  std::vector<int32_t> newest_;        ///< by ValueId: its latest version; kNone
  std::vector<Use> half_use_;          ///< by ValueId: the reading that turned to its half
  std::vector<int32_t> first_policy_;  ///< by ValueId: its first entry of policies.uses; kNone
  std::vector<bool> streamed_out_;     ///< by ValueId
  std::vector<std::pair<int32_t, ValueId>> shrinks_;  ///< (tape step after which, value), rising
  std::vector<int32_t> refreshed_at_;                 ///< by ValueId: anchor of its latest refresh
};

}  // namespace

void make_schedule(const Tape& tape, const Policies& policies, Schedule& result) {
  Scheduler(tape, policies, result).run();
}

Schedule make_schedule(const Tape& tape, const Policies& policies) {
  Schedule schedule;
  make_schedule(tape, policies, schedule);
  return schedule;
}

}  // namespace wholemount
