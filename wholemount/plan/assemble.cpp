#include "wholemount/plan/assemble.h"

#include <algorithm>
#include <utility>

#include "wholemount/pack/pack.h"
#include "wholemount/plan/materialise.h"

namespace wholemount {

namespace {

class Assembler {
 public:
  Assembler(const Tape& tape, const Schedule& schedule, const Estimate& estimate, size_t alignment,
            bool unshared)
      : tape_(tape),
        schedule_(schedule),
        estimate_(estimate),
        alignment_(alignment),
        unshared_(unshared),
        program_(std::make_shared<Program>()) {}

  std::shared_ptr<Program> run() {
    materialised_ = materialise(tape_, schedule_);
    program_->graph = materialised_.graph;
    program_->num_threads = tape_.num_threads;
    program_->seconds = estimate_.seconds;
    program_->disk_seconds = estimate_.disk_seconds;
    make_steps();
    pack_spill_file();
    pack_arena();
    make_transfers();
    return program_;
  }

 private:
  [[nodiscard]] const TapeStep& tape_of(size_t step) const {
    return tape_.steps[static_cast<size_t>(schedule_.steps[step].tape_step)];
  }

  void make_steps() {
    for (size_t i = 0; i < schedule_.steps.size(); ++i) {
      const TapeStep& tape = tape_of(i);
      Step step;
      step.node = materialised_.nodes[i];
      step.kernel = tape.kernel;
      step.thread_scratch_pitch = tape.thread_scratch_pitch;
      step.seconds = estimate_.step_seconds[i];
      step.traffic_bytes = traffic_bytes(i);
      step.repeated = schedule_.steps[i].repeated();
      if (!step.repeated) {
        program_->flops = checked_add(program_->flops, step.kernel->flops());
      }
      program_->steps.push_back(std::move(step));
    }
  }

  [[nodiscard]] int64_t traffic_bytes(size_t index) const {
    int64_t bytes = tape_of(index).kernel->traffic_bytes();
    const std::vector<Operand>& stored = schedule_.steps[index].stored;
    for (size_t i = 0; i < stored.size(); ++i) {
      if (!stored[i].half) continue;
      const ValueId value = tape_of(index).stored[i];
      bytes -= static_cast<int64_t>(tape_.bytes[static_cast<size_t>(value)] -
                                    tape_.bytes[static_cast<size_t>(tape_.half_of(value)->value)]);
    }
    return bytes;
  }

  /// By ValueId: the steps during which the spill file holds something for it.
  void pack_spill_file() {
    const size_t num_values = schedule_.on_disk.size();
    std::vector<Interval> life(num_values);
    std::vector<bool> known(num_values, false);
    const auto touch = [&](ValueId value, size_t step) {
      Interval& interval = life[static_cast<size_t>(value)];
      const auto now = static_cast<int32_t>(step);
      if (!known[static_cast<size_t>(value)]) {
        interval = {tape_.bytes[static_cast<size_t>(value)], now, now};
        known[static_cast<size_t>(value)] = true;
      }
      interval.first = std::min(interval.first, now);
      interval.last = std::max(interval.last, now);
    };
    for (size_t i = 0; i < schedule_.steps.size(); ++i) {
      const ScheduledStep& step = schedule_.steps[i];
      for (size_t o = 0; o < step.outputs.size(); ++o) {
        const ValueId value = tape_of(i).outputs[o];
        if (value != kNone && !step.repeated() && schedule_.on_disk[static_cast<size_t>(value)]) {
          touch(value, i);
        }
      }
      for (size_t in = 0; in < step.stored.size(); ++in) {
        if (step.stored[in].streamed) touch(tape_of(i).stored[in], i);
      }
    }
    for (const PlannedTransfer& transfer : estimate_.transfers) {
      const ValueId value = schedule_.versions[static_cast<size_t>(transfer.version)].value;
      touch(value, static_cast<size_t>(transfer.wait_step));
    }
    const Packing packing = pack(life, static_cast<size_t>(kDiskUnit));
    program_->spill_bytes = packing.arena_bytes;
    file_offsets_ = packing.offsets;
  }

  void pack_arena() {
    std::vector<Interval> intervals;
    const auto end = std::max<int32_t>(static_cast<int32_t>(schedule_.steps.size()) - 1, 0);
    const auto add = [&](size_t bytes, int32_t first, int32_t last, std::string name,
                         ArenaUse::Kind kind) {
      intervals.push_back(unshared_ ? Interval{bytes, 0, end} : Interval{bytes, first, last});
      ArenaUse use;
      use.name = std::move(name);
      use.kind = kind;
      use.bytes = bytes;
      use.first_step = first;
      use.last_step = last;
      program_->uses.push_back(std::move(use));
      return intervals.size() - 1;
    };
    for (const Buffer& buffer : estimate_.buffers) {
      const ValueId value = materialised_.values[static_cast<size_t>(buffer.version)];
      add(buffer.bytes, buffer.first, buffer.last, program_->graph->value(value).name,
          kind_of(buffer.version));
    }
    std::vector<std::vector<size_t>> scratch(schedule_.steps.size());
    for (size_t i = 0; i < schedule_.steps.size(); ++i) {
      const auto now = static_cast<int32_t>(i);
      const std::string name =
          program_->graph->nodes[static_cast<size_t>(program_->steps[i].node)].name;
      const size_t threads =
          tape_of(i).thread_scratch_pitch * static_cast<size_t>(tape_.num_threads);
      scratch[i] = {add(tape_of(i).shared_scratch_bytes, now, now, name + " scratch",
                        ArenaUse::Kind::scratch),
                    add(threads, now, now, name + " thread scratch", ArenaUse::Kind::scratch)};
      if (estimate_.cuts[i] == nullptr) continue;
      for (const size_t bytes : estimate_.cuts[i]->window_bytes) {
        scratch[i].push_back(add(2 * bytes, now, now, name + " windows", ArenaUse::Kind::scratch));
      }
    }
    const Packing packing = pack(intervals, alignment_);
    program_->arena_bytes = packing.arena_bytes;
    program_->lower_bound_bytes = packing.lower_bound_bytes;
    const std::vector<size_t> live = live_bytes(intervals, alignment_);
    program_->peak_step = static_cast<int32_t>(
        live.empty() ? 0 : std::max_element(live.begin(), live.end()) - live.begin());
    for (size_t i = 0; i < intervals.size(); ++i) program_->uses[i].offset = packing.offsets[i];
    std::erase_if(program_->uses, [](const ArenaUse& use) { return use.bytes == 0; });

    for (size_t i = 0; i < schedule_.steps.size(); ++i) {
      program_->steps[i].shared_scratch_offset = packing.offsets[scratch[i][0]];
      program_->steps[i].thread_scratch_offset = packing.offsets[scratch[i][1]];
      if (estimate_.cuts[i] != nullptr) {
        program_->steps[i].stream = stream_of(i, scratch[i], packing);
      }
    }
    program_->offsets.assign(program_->graph->values.size(), Program::kNoOffset);
    for (size_t v = 0; v < schedule_.versions.size(); ++v) {
      program_->offsets[static_cast<size_t>(materialised_.values[v])] =
          packing.offsets[static_cast<size_t>(estimate_.buffer_of[v])];
    }
  }

  [[nodiscard]] ArenaUse::Kind kind_of(int32_t version) const {
    const ValueId value = schedule_.versions[static_cast<size_t>(version)].value;
    const int32_t producer = tape_.producer[static_cast<size_t>(value)];
    return tape_.steps[static_cast<size_t>(producer)].backward ? ArenaUse::Kind::gradient
                                                               : ArenaUse::Kind::activation;
  }

  [[nodiscard]] std::shared_ptr<const StepStream> stream_of(size_t step,
                                                            const std::vector<size_t>& scratch,
                                                            const Packing& packing) const {
    StepStream stream;
    stream.cut = estimate_.cuts[step];
    for (size_t t = 0; t < stream.cut->tensors.size(); ++t) {
      const StreamedTensor& tensor = stream.cut->tensors[t];
      const auto operand = static_cast<size_t>(tensor.operand);
      const ValueId value =
          tensor.output ? tape_of(step).outputs[operand] : tape_of(step).stored[operand];
      stream.values.push_back(value);
      stream.file_offsets.push_back(file_offsets_[static_cast<size_t>(value)]);
      stream.window_offsets.push_back(packing.offsets[scratch[2 + t]]);
    }
    return std::make_shared<const StepStream>(std::move(stream));
  }

  void make_transfers() {
    for (const PlannedTransfer& planned : estimate_.transfers) {
      const Version& version = schedule_.versions[static_cast<size_t>(planned.version)];
      Transfer transfer;
      transfer.value = materialised_.values[static_cast<size_t>(planned.version)];
      transfer.source = version.value;
      transfer.write = planned.write;
      transfer.file_offset = file_offsets_[static_cast<size_t>(version.value)];
      transfer.bytes = static_cast<size_t>(round_up(
          static_cast<int64_t>(tape_.bytes[static_cast<size_t>(version.value)]), kDiskUnit));
      transfer.issue_step = planned.issue_step;
      transfer.wait_step = planned.wait_step;
      program_->transfers.push_back(transfer);
    }
    std::stable_sort(program_->transfers.begin(), program_->transfers.end(),
                     [](const Transfer& a, const Transfer& b) {
                       // Reads are issued before a step, writes after it.
                       return std::pair(a.issue_step, a.write) < std::pair(b.issue_step, b.write);
                     });
  }

  const Tape& tape_;
  const Schedule& schedule_;
  const Estimate& estimate_;
  size_t alignment_;
  bool unshared_;
  std::shared_ptr<Program> program_;
  MaterialisedGraph materialised_;
  std::vector<size_t> file_offsets_;  ///< by ValueId
};

}  // namespace

std::shared_ptr<Program> assemble(const Tape& tape, const Schedule& schedule,
                                  const Estimate& estimate, size_t alignment, bool unshared) {
  return Assembler(tape, schedule, estimate, alignment, unshared).run();
}

}  // namespace wholemount
