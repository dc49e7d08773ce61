#include "wholemount/plan/estimate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace wholemount {

namespace {

class Estimator {
 public:
  Estimator(const Tape& tape, const Policies& policies, const Schedule& schedule,
            const EstimateSpec& spec, StreamCuts& cuts, Estimate& result)
      : tape_(tape),
        policies_(policies),
        schedule_(schedule),
        spec_(spec),
        cuts_(cuts),
        result_(result) {
    // Vectors keep their memory from one estimate to the next.
    result_.buffers.clear();
    result_.transfers.clear();
    result_.cuts.clear();
    result_.scratch.clear();
    result_.step_seconds.clear();
    result_.peak_bytes = 0;
    result_.seconds = 0;
    result_.disk_seconds = 0;
  }

  bool run() {
    if (!time_steps()) return false;
    first_.assign(schedule_.versions.size(), 0);
    last_.assign(schedule_.versions.size(), 0);
    for (size_t v = 0; v < schedule_.versions.size(); ++v) {
      const Version& version = schedule_.versions[v];
      first_[v] = version.created;
      last_[v] =
          version.reads.empty() ? version.created : std::max(version.created, version.reads.back());
      if (version.origin == Version::Origin::computed && tape_.graph->value(version.value).keep) {
        last_[v] = num_steps() - 1;
      }
    }
    writing_until_.assign(schedule_.versions.size(), kNone);
    place_writes();
    place_reads();
    share_buffers();
    add_up();
    return true;
  }

 private:
  [[nodiscard]] int32_t num_steps() const { return static_cast<int32_t>(schedule_.steps.size()); }
  [[nodiscard]] size_t bytes_of(const Version& version) const {
    return tape_.bytes[static_cast<size_t>(version.value)];
  }
  [[nodiscard]] size_t aligned(size_t bytes) const {
    return (bytes + spec_.alignment - 1) / spec_.alignment * spec_.alignment;
  }

  bool time_steps() {
    own_step_.assign(tape_.steps.size(), 0);
    free_.reserve(schedule_.steps.size());
    for (size_t index = 0; index < schedule_.steps.size(); ++index) {
      const ScheduledStep& step = schedule_.steps[index];
      if (!step.repeated()) {
        own_step_[static_cast<size_t>(step.tape_step)] = static_cast<int32_t>(index);
      }
      const TapeStep& tape = tape_.steps[static_cast<size_t>(step.tape_step)];
      size_t scratch = aligned(tape.shared_scratch_bytes) +
                       aligned(tape.thread_scratch_pitch * static_cast<size_t>(tape_.num_threads));
      double seconds = tape.seconds;
      for (size_t i = 0; i < step.stored.size(); ++i) {
        if (step.stored[i].half) seconds -= tape.half_saves[i];
      }
      double disk = 0;
      const auto streamed = [](const Operand& operand) { return operand.streamed; };
      std::shared_ptr<const StreamCut> cut;
      if (std::any_of(step.stored.begin(), step.stored.end(), streamed) ||
          std::any_of(step.outputs.begin(), step.outputs.end(), streamed)) {
        cut = cuts_.get(step);
        if (cut == nullptr) return false;
        for (const size_t bytes : cut->window_bytes) scratch += 2 * aligned(bytes);
        const double read = static_cast<double>(cut->read_bytes) / spec_.disk_read_bytes_per_second;
        const double write =
            static_cast<double>(cut->write_bytes) / spec_.disk_write_bytes_per_second;
        disk = read + write + static_cast<double>(cut->num_requests) * spec_.disk_request_seconds;
        // Shared planes are copied by the thread that reads, which meanwhile reads nothing.
        if (spec_.window_bytes_per_second > 0) {
          disk += static_cast<double>(cut->kept_bytes) / spec_.window_bytes_per_second;
        }
        const double fill = disk / static_cast<double>(std::max<int64_t>(cut->num_groups, 1));
        seconds = std::max(seconds * cut->imbalance + spec_.disk_compute_share * disk, disk) + fill;
      }
      result_.cuts.push_back(std::move(cut));
      result_.scratch.push_back(scratch);
      result_.step_seconds.push_back(seconds);
      result_.disk_seconds += disk;
      free_.push_back(std::max(0.0, seconds - disk));
    }
    return true;
  }

  /// Takes up to `seconds` of the disk's time during a step; returns what is left to do.
  double use_disk(int32_t step, double seconds) {
    double& free = free_[static_cast<size_t>(step)];
    const double taken = std::min(free, seconds);
    free -= taken;
    result_.step_seconds[static_cast<size_t>(step)] += spec_.disk_compute_share * taken;
    return seconds - taken;
  }

  void place_writes() {
    for (size_t value = 0; value < schedule_.on_disk.size(); ++value) {
      const int32_t v = schedule_.first_version[value];
      if (schedule_.on_disk[value] && v != kNone) writes_.push_back(v);
    }
    std::sort(writes_.begin(), writes_.end(), [&](int32_t a, int32_t b) {
      return schedule_.versions[static_cast<size_t>(a)].created <
             schedule_.versions[static_cast<size_t>(b)].created;
    });
    for (const int32_t v : writes_) {
      const Version& version = schedule_.versions[static_cast<size_t>(v)];
      double left = static_cast<double>(bytes_of(version)) / spec_.disk_write_bytes_per_second +
                    spec_.disk_request_seconds;
      result_.disk_seconds += left;
      int32_t& last = last_[static_cast<size_t>(v)];
      const bool hurried = policies_.hurried_writes.contains(version.value);
      int32_t step = version.created;
      while (left > 0 && step + 1 < num_steps() && (!hurried || step < last)) {
        ++step;
        left = use_disk(step, left);
      }
      last = std::max(last, step);
      result_.step_seconds[static_cast<size_t>(last)] += left;
      writing_until_[static_cast<size_t>(v)] = last;
      result_.transfers.push_back({v, true, version.created, last});
    }
  }

  void place_reads() {
    std::vector<int32_t> reads;
    for (size_t v = 0; v < schedule_.versions.size(); ++v) {
      if (schedule_.versions[v].origin == Version::Origin::reloaded) {
        reads.push_back(static_cast<int32_t>(v));
      }
    }
    std::sort(reads.begin(), reads.end(), [&](int32_t a, int32_t b) {
      return schedule_.versions[static_cast<size_t>(a)].created >
             schedule_.versions[static_cast<size_t>(b)].created;
    });
    for (const int32_t v : reads) {
      const Version& version = schedule_.versions[static_cast<size_t>(v)];
      double left = static_cast<double>(bytes_of(version)) / spec_.disk_read_bytes_per_second +
                    spec_.disk_request_seconds;
      result_.disk_seconds += left;
      const int32_t earliest = on_disk_after(version.value);
      int32_t step = version.created;
      if (!policies_.late_reads.contains(version.use)) {
        while (left > 0 && step - 1 > earliest) {
          --step;
          left = use_disk(step, left);
        }
      }
      result_.step_seconds[static_cast<size_t>(version.created)] += left;
      first_[static_cast<size_t>(v)] = step;
      result_.transfers.push_back({v, false, step, version.created});
    }
  }

  /// The step after which the value is in the spill file.
  [[nodiscard]] int32_t on_disk_after(ValueId value) const {
    const int32_t v = schedule_.first_version[static_cast<size_t>(value)];
    if (v != kNone) return writing_until_[static_cast<size_t>(v)];
    return own_step_[static_cast<size_t>(tape_.producer[static_cast<size_t>(value)])];
  }

  /// The buffer of an input that output `o` of the step may take over, or kNone.
  [[nodiscard]] int32_t reusable(int32_t index, size_t o) const {
    const ScheduledStep& step = schedule_.steps[static_cast<size_t>(index)];
    for (const InPlace& pair : tape_.steps[static_cast<size_t>(step.tape_step)].in_place) {
      if (static_cast<size_t>(pair.output) != o) continue;
      const Operand& input = step.stored[static_cast<size_t>(pair.input)];
      const int32_t v = input.version;
      if (v == kNone || input.half || last_[static_cast<size_t>(v)] != index ||
          writing_until_[static_cast<size_t>(v)] == index) {
        continue;
      }
      // The same value must not also be another input of this node.
      if (std::count_if(step.stored.begin(), step.stored.end(),
                        [&](const Operand& other) { return other.version == v; }) == 1) {
        return result_.buffer_of[static_cast<size_t>(v)];
      }
    }
    return kNone;
  }

  void share_buffers() {
    result_.buffer_of.assign(schedule_.versions.size(), kNone);
    std::vector<std::pair<int32_t, int32_t>> loads;  // (step, version)
    for (size_t v = 0; v < schedule_.versions.size(); ++v) {
      if (schedule_.versions[v].origin == Version::Origin::reloaded) {
        loads.emplace_back(first_[v], static_cast<int32_t>(v));
      }
    }
    std::sort(loads.begin(), loads.end());
    size_t loaded = 0;
    std::vector<int32_t> taken;  // one input can be taken over by one output only
    for (int32_t index = 0; index < num_steps(); ++index) {
      for (; loaded < loads.size() && loads[loaded].first == index; ++loaded) {
        new_buffer(loads[loaded].second);
      }
      const ScheduledStep& step = schedule_.steps[static_cast<size_t>(index)];
      taken.clear();
      for (size_t o = 0; o < step.outputs.size(); ++o) {
        const int32_t v = step.outputs[o].version;
        if (v == kNone) continue;
        const int32_t reused = spec_.unshared ? kNone : reusable(index, o);
        if (reused == kNone || std::find(taken.begin(), taken.end(), reused) != taken.end()) {
          new_buffer(v);
          continue;
        }
        taken.push_back(reused);
        result_.buffers[static_cast<size_t>(reused)].last = last_[static_cast<size_t>(v)];
        result_.buffer_of[static_cast<size_t>(v)] = reused;
      }
    }
  }

  void new_buffer(int32_t v) {
    const auto index = static_cast<size_t>(v);
    result_.buffer_of[index] = static_cast<int32_t>(result_.buffers.size());
    result_.buffers.push_back(
        {bytes_of(schedule_.versions[index]), first_[index], last_[index], v});
  }

  void add_up() {
    result_.live.assign(schedule_.steps.size() + 1, 0);
    for (const Buffer& buffer : result_.buffers) {
      result_.live[static_cast<size_t>(buffer.first)] += aligned(buffer.bytes);
      result_.live[static_cast<size_t>(buffer.last) + 1] -= aligned(buffer.bytes);
    }
    result_.live.pop_back();
    size_t now = 0;
    for (size_t step = 0; step < result_.live.size(); ++step) {
      now += result_.live[step];  // falls are stored modulo 2^64, sums come out right
      result_.live[step] = now + result_.scratch[step];
      result_.peak_bytes = std::max(result_.peak_bytes, result_.live[step]);
    }
    result_.seconds =
        std::accumulate(result_.step_seconds.begin(), result_.step_seconds.end(), 0.0);
  }

  const Tape& tape_;
  const Policies& policies_;
  const Schedule& schedule_;
  const EstimateSpec& spec_;
  StreamCuts& cuts_;
  Estimate& result_;
  std::vector<int32_t> own_step_;       ///< by tape step: where it runs first
  std::vector<double> free_;            ///< by step: seconds the disk has nothing to do
  std::vector<int32_t> first_;          ///< by version
  std::vector<int32_t> last_;           ///< by version
  std::vector<int32_t> writing_until_;  ///< by version; kNone
  std::vector<int32_t> writes_;         ///< versions
};

}  // namespace

std::shared_ptr<const StreamCut> StreamCuts::get(const ScheduledStep& step) {
  uint64_t mask = 0;
  const auto mark = [&](size_t bit) { mask |= bit < 64 ? uint64_t{1} << bit : 0; };
  for (size_t i = 0; i < step.stored.size(); ++i) {
    if (step.stored[i].streamed) mark(i);
  }
  for (size_t o = 0; o < step.outputs.size(); ++o) {
    if (step.outputs[o].streamed) mark(step.stored.size() + o);
  }
  if (step.stored.size() + step.outputs.size() > 64) return nullptr;
  std::vector<Known>& known = known_[static_cast<size_t>(step.tape_step)];
  for (const Known& one : known) {
    if (one.operands == mask) return one.cut;
  }
  const Node& node = tape_.node_of(static_cast<size_t>(step.tape_step));
  std::vector<StreamedTensor> tensors;
  for (size_t i = 0; i < step.stored.size(); ++i) {
    if (step.stored[i].streamed) {
      tensors.push_back({static_cast<int>(i), false, tape_.graph->value(node.inputs[i]).desc});
    }
  }
  for (size_t o = 0; o < step.outputs.size(); ++o) {
    if (step.outputs[o].streamed) {
      tensors.push_back({static_cast<int>(o), true, tape_.graph->value(node.outputs[o]).desc});
    }
  }
  std::optional<StreamCut> cut = cut_stream(
      *tape_.steps[static_cast<size_t>(step.tape_step)].kernel, tape_.num_threads, tensors);
  std::shared_ptr<const StreamCut> shared;
  if (cut.has_value()) shared = std::make_shared<const StreamCut>(std::move(*cut));
  known.push_back({mask, shared});
  return shared;
}

std::optional<Estimate> estimate(const Tape& tape, const Policies& policies,
                                 const Schedule& schedule, const EstimateSpec& spec,
                                 StreamCuts& cuts) {
  Estimate result;
  if (!estimate(tape, policies, schedule, spec, cuts, result)) return std::nullopt;
  return result;
}

bool estimate(const Tape& tape, const Policies& policies, const Schedule& schedule,
              const EstimateSpec& spec, StreamCuts& cuts, Estimate& result) {
  return Estimator(tape, policies, schedule, spec, cuts, result).run();
}

}  // namespace wholemount
