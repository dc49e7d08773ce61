#include "wholemount/plan/candidates.h"

#include <algorithm>

namespace wholemount {

namespace {

class Candidates {
 public:
  Candidates(const Tape& tape, const SearchSpec& spec, const Policies& policies,
             const Schedule& schedule)
      : tape_(tape), spec_(spec), policies_(policies), schedule_(schedule) {}

  std::vector<Change> run(size_t budget_bytes, const Estimate& estimate) {
    count_over(budget_bytes, estimate);
    std::vector<std::pair<int32_t, int32_t>> life(schedule_.versions.size());
    for (size_t v = 0; v < schedule_.versions.size(); ++v) {
      const Version& version = schedule_.versions[v];
      life[v] = {version.created, version.reads.empty() ? version.created : version.reads.back()};
    }
    for (const PlannedTransfer& transfer : estimate.transfers) {
      auto& [first, last] = life[static_cast<size_t>(transfer.version)];
      const Version& version = schedule_.versions[static_cast<size_t>(transfer.version)];
      if (transfer.write) {
        if (any_over(last + 1, transfer.wait_step)) hurry(version);
      } else if (any_over(transfer.issue_step, first - 1)) {
        late(version);
      }
    }
    for (const Version& version : schedule_.versions) {
      if (tape_.bytes[static_cast<size_t>(version.value)] >= spec_.smallest_bytes &&
          !tape_.graph->value(version.value).keep) {
        consider(version);
      }
    }
    std::sort(changes_.begin(), changes_.end());
    changes_.erase(std::unique(changes_.begin(), changes_.end()), changes_.end());
    return std::move(changes_);
  }

 private:
  void count_over(size_t budget_bytes, const Estimate& estimate) {
    over_.assign(estimate.live.size() + 1, 0);
    for (size_t step = 0; step < estimate.live.size(); ++step) {
      over_[step + 1] = over_[step] + (estimate.live[step] > budget_bytes ? 1 : 0);
    }
  }
  /// Whether a step from `first` to `last`, both inclusive, needs too much.
  [[nodiscard]] bool any_over(int32_t first, int32_t last) const {
    return first <= last &&
           over_[static_cast<size_t>(last) + 1] > over_[static_cast<size_t>(first)];
  }

  void hurry(const Version& version) {
    if (policies_.hurried_writes.contains(version.value)) return;
    Change change;
    change.kind = Change::Kind::hurry_write;
    change.use.value = version.value;
    changes_.push_back(change);
  }
  void late(const Version& version) {
    if (policies_.late_reads.contains(version.use)) return;
    Change change;
    change.kind = Change::Kind::late_read;
    change.use = version.use;
    changes_.push_back(change);
  }

  void consider(const Version& version) {
    // A rounded value stays until it is expanded or read.
    if (tape_.is_conversion(tape_.producer[static_cast<size_t>(version.value)])) {
      swap_readings(version);
      return;
    }
    // Halves seldom suffice alone, and what was taken first may have to give way to them; exact
    // searches come as close to the best without these.
    if (!tape_.halves.empty() && version.use.value != kNone && any_over(0, version.created)) {
      swap_access(version.use);
    }
    int32_t before = version.created;
    const int32_t last = version.reads.empty() ? version.created : version.reads.back();
    if (spec_.spill && any_over(version.created, last)) {
      Change change;
      change.kind = Change::Kind::stream_always;
      change.use.value = version.value;
      changes_.push_back(change);
    }
    if (version.origin == Version::Origin::computed && spec_.spill &&
        any_over(version.created, version.created)) {
      Change change;
      change.kind = Change::Kind::stream_out;
      change.use.value = version.value;
      changes_.push_back(change);
      if (!version.reads.empty()) {
        const ScheduledStep& first = schedule_.steps[static_cast<size_t>(version.reads.front())];
        change.use = {version.value, first.tape_step, first.anchor};
        change.brief = true;
        changes_.push_back(change);
      }
    }
    for (const int32_t read : version.reads) {
      const ScheduledStep& step = schedule_.steps[static_cast<size_t>(read)];
      if (tape_.is_conversion(step.tape_step)) {
        before = read;
        continue;
      }
      const Use use{version.value, step.tape_step, step.anchor};
      if (any_over(before + 1, read - 1)) {
        offer(use, Access::recompute);
        if (has_spilled_input(version.value)) offer(use, Access::recompute, true);
        offer(use, Access::reload);
        offer(use, Access::reload, true);
        offer(use, Access::half);
      }
      if (any_over(read, read)) offer(use, Access::stream);
      before = read;
    }
  }

  /// Some input of the value's step is in the spill file anyway.
  [[nodiscard]] bool has_spilled_input(ValueId value) const {
    const int32_t producer = tape_.producer[static_cast<size_t>(value)];
    const std::vector<ValueId>& inputs = tape_.steps[static_cast<size_t>(producer)].stored;
    return std::any_of(inputs.begin(), inputs.end(), [&](ValueId input) {
      return input != kNone && schedule_.on_disk[static_cast<size_t>(input)];
    });
  }

  /// Other ways to bring back a value: what a way needs over the gap shows only once others are
  /// taken, as when the inputs of a repeated step are to go too.
  void swap_access(const Use& use) {
    offer(use, Access::recompute);
    offer(use, Access::reload);
    offer(use, Access::half);
  }

  /// The same for the decisions behind readings of a half as it is.
  void swap_readings(const Version& half) {
    for (const int32_t read : half.reads) {
      if (!any_over(0, read)) continue;
      const ScheduledStep& step = schedule_.steps[static_cast<size_t>(read)];
      const TapeStep& reader = tape_.steps[static_cast<size_t>(step.tape_step)];
      for (size_t i = 0; i < step.stored.size(); ++i) {
        const Use use{reader.stored[i], step.tape_step, step.anchor};
        if (step.stored[i].half && tape_.half_of(use.value)->value == half.value &&
            policies_.uses.find(use) != policies_.uses.end()) {
          swap_access(use);
          // To keep its input instead would gain nothing where that is as large as the half.
          offer(use, Access::recompute, true, Access::recompute);
        }
      }
    }
  }

  void offer(const Use& use, Access access, bool brief = false, Access inputs = Access::reload) {
    if (!allows(tape_, spec_, use, access)) return;
    const auto known = policies_.uses.find(use);
    if (known != policies_.uses.end() && known->second == access) return;
    Change change;
    change.brief = brief;
    change.use = use;
    change.access = access;
    change.inputs = inputs;
    changes_.push_back(change);
  }

  const Tape& tape_;
  const SearchSpec& spec_;
  const Policies& policies_;
  const Schedule& schedule_;
  std::vector<int32_t> over_;  ///< steps above the budget before each step
  std::vector<Change> changes_;
};

}  // namespace

bool allows(const Tape& tape, const SearchSpec& spec, const Use& use, Access access) {
  switch (access) {
    case Access::reload:
    case Access::stream:
      return spec.spill;
    case Access::recompute: {
      const int32_t producer = tape.producer[static_cast<size_t>(use.value)];
      return spec.recompute && tape.steps[static_cast<size_t>(producer)].repeatable;
    }
    case Access::half:
      return tape.half_of(use.value) != nullptr &&
             tape.steps[static_cast<size_t>(use.anchor)].backward;
  }
  return false;
}

namespace {

bool may_come_back(const Tape& tape, ValueId value, Access access) {
  const int32_t producer = tape.producer[static_cast<size_t>(value)];
  return access != Access::recompute || tape.steps[static_cast<size_t>(producer)].repeatable;
}

}  // namespace

void apply(const Change& change, const Tape& tape, Policies& policies) {
  switch (change.kind) {
    case Change::Kind::access:
      policies.uses[change.use] = change.access;
      if (change.brief && change.access == Access::recompute) {
        const int32_t producer = tape.producer[static_cast<size_t>(change.use.value)];
        for (const ValueId input : tape.steps[static_cast<size_t>(producer)].stored) {
          if (input != kNone && may_come_back(tape, input, change.inputs)) {
            policies.uses[{input, producer, change.use.anchor}] = change.inputs;
          }
        }
      } else if (change.brief) {
        policies.late_reads.insert(change.use);
        policies.hurried_writes.insert(change.use.value);
      }
      break;
    case Change::Kind::stream_out:
      policies.streamed_out.insert(change.use.value);
      if (change.brief) policies.late_reads.insert(change.use);
      break;
    case Change::Kind::stream_always:
      policies.streamed_out.insert(change.use.value);
      for (const int32_t reader : tape.readers[static_cast<size_t>(change.use.value)]) {
        policies.uses[{change.use.value, reader, reader}] = Access::stream;
      }
      break;
    case Change::Kind::hurry_write:
      policies.hurried_writes.insert(change.use.value);
      break;
    case Change::Kind::late_read:
      policies.late_reads.insert(change.use);
      break;
  }
}

std::vector<Change> candidate_changes(const Tape& tape, const SearchSpec& spec, size_t budget_bytes,
                                      const Policies& policies, const Schedule& schedule,
                                      const Estimate& estimate) {
  return Candidates(tape, spec, policies, schedule).run(budget_bytes, estimate);
}

}  // namespace wholemount
