#include "wholemount/plan/planner.h"

#include <algorithm>
#include <set>
#include <utility>

#include "wholemount/plan/assemble.h"
#include "wholemount/plan/search.h"

namespace wholemount {

namespace {

constexpr size_t kAlignment = 64;

/// Packing may need a little more than what lives at the fullest step; the search then aims lower.
constexpr int kPackingAttempts = 4;

/// Searches aim at the budget less one part in so many, one after another, to leave packing room.
constexpr size_t kPackingShares[] = {SIZE_MAX, 64, 32, 16};
/// The same for the floor's search.
constexpr size_t kFloorPackingShare = 32;

/// Bits are not given away for less than this part of an update's time.
constexpr double kLeastGainOfRounding = 0.01;

/// Estimates take about 0.1 us a step of the tape; this bounds a search to a few seconds.
constexpr int64_t kMaxWork = 16'000'000;

/// What was decided, for people.
std::vector<PolicyNote> notes(const Tape& tape, const SearchResult& found,
                              const EstimateSpec& spec) {
  std::vector<PolicyNote> result;
  std::set<ValueId> shrunk;  ///< once, however often it is expanded
  const auto name_of = [&](int32_t step) { return tape.node_of(static_cast<size_t>(step)).name; };
  const auto decided = [&](ValueId value, int32_t reader, int32_t anchor) {
    const SortedMap<Use, Access>& uses = found.policies.uses;
    return uses.find({value, reader, anchor}) != uses.end();
  };
  const auto add_half = [&](ValueId value, int32_t reader, double seconds) {
    PolicyNote note;
    note.kind = PolicyNote::Kind::half;
    note.value = tape.graph->value(value).name;
    note.reader = name_of(reader);
    note.bytes = tape.bytes[static_cast<size_t>(value)];
    note.seconds = seconds;
    if (shrunk.insert(value).second) {
      note.seconds += tape.steps[static_cast<size_t>(tape.half_of(value)->shrink)].seconds;
    }
    result.push_back(std::move(note));
  };
  for (const Version& version : found.schedule.versions) {
    if (version.origin == Version::Origin::computed) continue;
    PolicyNote note;
    note.value = tape.graph->value(version.value).name;
    note.reader = name_of(version.use.anchor);
    note.bytes = tape.bytes[static_cast<size_t>(version.value)];
    if (version.origin == Version::Origin::recomputed) {
      const int32_t producer = tape.producer[static_cast<size_t>(version.value)];
      note.seconds = tape.steps[static_cast<size_t>(producer)].seconds;
      if (version.use.value == kNone) continue;  // came along with another output
    } else if (version.origin == Version::Origin::expanded) {
      const int32_t expand = tape.half_of(version.value)->expand;
      add_half(version.value, version.use.anchor, tape.steps[static_cast<size_t>(expand)].seconds);
      continue;
    } else {
      note.kind = PolicyNote::Kind::spill;
      const auto bytes = static_cast<double>(note.bytes);
      note.seconds = bytes / spec.disk_read_bytes_per_second;
      if (found.schedule.first_version[static_cast<size_t>(version.value)] != kNone) {
        note.seconds += bytes / spec.disk_write_bytes_per_second;
      }
    }
    result.push_back(std::move(note));
  }
  for (const ScheduledStep& step : found.schedule.steps) {
    const TapeStep& tape_step = tape.steps[static_cast<size_t>(step.tape_step)];
    const auto add = [&](const Operand& operand, ValueId value, double rate) {
      if (!operand.streamed) return;
      PolicyNote note;
      note.kind = PolicyNote::Kind::stream;
      note.value = tape.graph->value(value).name;
      note.reader = name_of(step.tape_step);
      note.bytes = tape.bytes[static_cast<size_t>(value)];
      note.seconds = static_cast<double>(note.bytes) / rate;
      result.push_back(std::move(note));
    };
    for (size_t i = 0; i < step.stored.size(); ++i) {
      add(step.stored[i], tape_step.stored[i], spec.disk_read_bytes_per_second);
      // Later readings of the half that the first one turned to are no decisions.
      const ValueId value = tape_step.stored[i];
      if (step.stored[i].half && (decided(value, step.tape_step, step.anchor) ||
                                  decided(value, step.anchor, step.anchor))) {
        add_half(value, step.tape_step, 0);
      }
    }
    for (size_t o = 0; o < step.outputs.size(); ++o) {
      add(step.outputs[o], tape_step.outputs[o], spec.disk_write_bytes_per_second);
    }
  }
  return result;
}

/// Forward values that some backward step reads in the stay that the forward pass began.
int64_t kept_values(const Tape& tape, const Schedule& schedule) {
  return std::count_if(
      schedule.versions.begin(), schedule.versions.end(), [&](const Version& version) {
        const auto step_of = [&](int32_t step) -> const TapeStep& {
          const int32_t index = schedule.steps[static_cast<size_t>(step)].tape_step;
          return tape.steps[static_cast<size_t>(index)];
        };
        const int32_t producer = tape.producer[static_cast<size_t>(version.value)];
        return version.origin == Version::Origin::computed && !version.reads.empty() &&
               !tape.is_conversion(producer) && !step_of(version.created).backward &&
               step_of(version.reads.back()).backward;
      });
}

/// Threads that share the memory's rate about evenly; more of them do not make one slower.
constexpr int kThreadsOfCopy = 4;

class Planner {
 public:
  Planner(const Tape& tape, const PlanSpec& spec, const TimeModel& time)
      : tape_(tape), spec_(spec), cuts_(tape) {
    search_.recompute = spec.recompute;
    search_.spill = spec.spill;
    search_.smallest_bytes = spec.smallest_moved_bytes;
    search_.max_work = kMaxWork;
    search_.estimate.disk_read_bytes_per_second = time.disk_read_bytes_per_second;
    search_.estimate.disk_write_bytes_per_second = time.disk_write_bytes_per_second;
    search_.estimate.disk_request_seconds = time.disk_request_seconds;
    // A copy reads and writes, on one of the threads the rate was measured with.
    search_.estimate.window_bytes_per_second =
        time.copy_bytes_per_second / (2.0 * std::min(spec.num_threads, kThreadsOfCopy));
    search_.estimate.disk_compute_share = time.disk_compute_share;
    search_.estimate.alignment = kAlignment;
    search_.estimate.unshared = spec.unshared;
  }

  std::shared_ptr<const Program> run() {
    SearchResult everything_kept;
    everything_kept.schedule = make_schedule(tape_, {});
    everything_kept.estimate =
        *estimate(tape_, {}, everything_kept.schedule, search_.estimate, cuts_);
    const std::shared_ptr<const Program> unlimited = make_program(everything_kept);
    std::shared_ptr<const Program> program = unlimited;
    if (program->arena_bytes <= spec_.arena_budget_bytes ||
        (!spec_.recompute && !spec_.spill && tape_.halves.empty())) {
      return program;
    }
    if (spec_.spill) search_.estimate.alignment = static_cast<size_t>(kDiskUnit);
    // A plan that does not pack is changed a little; where that leads nowhere, a search that aims
    // lower finds another one, far faster than the floor's.
    for (const size_t share : kPackingShares) {
      bool reached = false;
      program =
          search_and_pack(spec_.arena_budget_bytes - spec_.arena_budget_bytes / share, reached);
      if (program != nullptr) return program;
      if (!reached) break;
    }
    // A little below, for packing; where that is not enough, the floor itself.
    for (const size_t budget :
         {spec_.arena_budget_bytes - spec_.arena_budget_bytes / kFloorPackingShare, size_t{0}}) {
      search_.budget_bytes = budget;
      program = make_program(search_floor(tape_, search_, cuts_));
      if (program->arena_bytes <= spec_.arena_budget_bytes) break;
      if (program->lower_bound_bytes > budget) break;
    }
    return program->arena_bytes < unlimited->arena_bytes ? program : unlimited;
  }

 private:
  /// A program within the arena's budget from a search within `budget`, or nullptr; `reached` tells
  /// whether the search came that far before packing.
  std::shared_ptr<const Program> search_and_pack(size_t budget, bool& reached) {
    if (budget == 0) return nullptr;
    search_.budget_bytes = budget;
    SearchResult found = search_policies(tape_, search_, cuts_);
    reached = found.fits;
    for (int attempt = 0; attempt < kPackingAttempts && found.fits; ++attempt) {
      std::shared_ptr<const Program> program = make_program(found);
      if (program->arena_bytes <= spec_.arena_budget_bytes) return program;
      const size_t excess = program->arena_bytes - spec_.arena_budget_bytes;
      search_.budget_bytes -= std::min(search_.budget_bytes, excess);
      found = continue_search(tape_, search_, cuts_, found.policies);
    }
    return nullptr;
  }

  std::shared_ptr<const Program> make_program(const SearchResult& found) {
    std::shared_ptr<Program> program =
        assemble(tape_, found.schedule, found.estimate, search_.estimate.alignment, spec_.unshared);
    program->target = spec_.target;
    program->policies = notes(tape_, found, search_.estimate);
    program->kept_values = kept_values(tape_, found.schedule);
    return program;
  }

  const Tape& tape_;
  const PlanSpec& spec_;
  StreamCuts cuts_;
  SearchSpec search_;
};

}  // namespace

std::shared_ptr<const Program> plan(std::shared_ptr<const Graph> graph, const PlanSpec& spec,
                                    const TimeModel& time) {
  Tape tape = make_tape(std::move(graph), spec.target, spec.num_threads, time);
  std::shared_ptr<const Program> exact = Planner(tape, spec, time).run();
  const auto fits = [&](const Program& program) {
    return program.arena_bytes <= spec.arena_budget_bytes;
  };
  if (spec.half.shrink == nullptr || (exact->policies.empty() && fits(*exact))) return exact;
  add_half_storage(tape, spec.half, spec.target, time, spec.smallest_moved_bytes);
  std::shared_ptr<const Program> rounded = Planner(tape, spec, time).run();
  if (!fits(*exact)) return rounded->arena_bytes < exact->arena_bytes ? rounded : exact;
  const bool worth_it = rounded->seconds < exact->seconds * (1 - kLeastGainOfRounding);
  return fits(*rounded) && worth_it ? rounded : exact;
}

}  // namespace wholemount
