#include "wholemount/plan/planner.h"

#include <algorithm>
#include <utility>

#include "wholemount/pack/pack.h"

namespace wholemount {

namespace {

constexpr size_t kAlignment = 64;

/// Nodes whose results somebody wants: reached backwards from kept values and parameter gradients.
std::vector<bool> wanted_nodes(const Graph& graph) {
  std::vector<bool> value_wanted(graph.values.size(), false);
  std::vector<bool> node_wanted(graph.nodes.size(), false);
  const auto want = [&](ValueId id) {
    if (id == kNone) {
      return;
    }
    value_wanted[static_cast<size_t>(id)] = true;
    const Value& value = graph.value(id);
    if (value.stored_as != kNone) {
      value_wanted[static_cast<size_t>(value.stored_as)] = true;
    }
    if (value.transform.statistics != kNone) {
      value_wanted[static_cast<size_t>(value.transform.statistics)] = true;
    }
  };
  for (size_t id = 0; id < graph.values.size(); ++id) {
    if (graph.values[id].keep || graph.values[id].kind == ValueKind::parameter_gradient) {
      want(static_cast<ValueId>(id));
    }
  }
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    node_wanted[i] = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId id) {
      return id != kNone && value_wanted[static_cast<size_t>(id)];
    });
    if (node_wanted[i]) {
      std::for_each(node.inputs.begin(), node.inputs.end(), want);
    }
  }
  return node_wanted;
}

/// Memory in the arena: one or more values that share it (in-place chains).
struct Buffer {
  size_t bytes = 0;
  int32_t first = 0;
  int32_t last = 0;
  std::string name;
  ArenaUse::Kind kind = ArenaUse::Kind::activation;
};

class Planner {
 public:
  Planner(std::shared_ptr<const Graph> graph, const PlanSpec& spec, const TimeModel& time)
      : graph_(std::move(graph)), spec_(spec), time_(time), program_(std::make_shared<Program>()) {}

  std::shared_ptr<const Program> run() {
    program_->graph = graph_;
    program_->target = spec_.target;
    program_->num_threads = spec_.num_threads;
    prepare_steps();
    find_last_reads();
    assign_buffers();
    place();
    return program_;
  }

 private:
  void prepare_steps() {
    const std::vector<bool> wanted = wanted_nodes(*graph_);
    std::vector<TensorDesc> inputs;
    std::vector<TensorDesc> outputs;
    for (size_t i = 0; i < graph_->nodes.size(); ++i) {
      if (!wanted[i]) {
        continue;
      }
      const Node& node = graph_->nodes[i];
      const auto describe = [&](ValueId id) {
        TensorDesc absent;
        absent.n = 0;
        return id == kNone ? absent : graph_->value(id).desc;
      };
      inputs.clear();
      outputs.clear();
      std::transform(node.inputs.begin(), node.inputs.end(), std::back_inserter(inputs), describe);
      std::transform(node.outputs.begin(), node.outputs.end(), std::back_inserter(outputs),
                     describe);
      Step step;
      step.node = static_cast<NodeId>(i);
      step.kernel = node.op->prepare({inputs, outputs, spec_.target});
      if (step.kernel == nullptr) {
        continue;
      }
      step.seconds = time_.seconds(*step.kernel);
      program_->seconds += step.seconds;
      program_->flops = checked_add(program_->flops, step.kernel->flops());
      program_->steps.push_back(std::move(step));
    }
  }

  [[nodiscard]] const Node& node_of(size_t step) const {
    return graph_->nodes[static_cast<size_t>(program_->steps[step].node)];
  }

  void find_last_reads() {
    last_read_.assign(graph_->values.size(), kNone);
    for (size_t step = 0; step < program_->steps.size(); ++step) {
      for (const ValueId id : node_of(step).inputs) {
        if (id == kNone) {
          continue;
        }
        last_read_[static_cast<size_t>(graph_->storage(id))] = static_cast<int32_t>(step);
        if (graph_->value(id).transform.statistics != kNone) {
          last_read_[static_cast<size_t>(graph_->value(id).transform.statistics)] =
              static_cast<int32_t>(step);
        }
      }
    }
    const auto end = static_cast<int32_t>(program_->steps.size()) - 1;
    for (size_t id = 0; id < graph_->values.size(); ++id) {
      if (graph_->values[id].keep) {
        last_read_[static_cast<size_t>(graph_->storage(static_cast<ValueId>(id)))] = end;
      }
    }
  }

  /// The buffer of an input that `output` may take over at this step, or kNone.
  [[nodiscard]] int32_t reusable_buffer(size_t step, size_t output_index) const {
    const Node& node = node_of(step);
    const ValueId output = node.outputs[output_index];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (input == kNone || graph_->value(input).stored_as != kNone ||
          graph_->value(input).kind != ValueKind::intermediate || graph_->value(input).keep ||
          !node.op->may_overwrite(static_cast<int>(i), static_cast<int>(output_index)) ||
          last_read_[static_cast<size_t>(input)] != static_cast<int32_t>(step) ||
          graph_->value(input).desc.bytes() != graph_->value(output).desc.bytes()) {
        continue;
      }
      // The same value must not also be another input of this node.
      if (std::count_if(node.inputs.begin(), node.inputs.end(), [&](ValueId other) {
            return other != kNone && graph_->storage(other) == input;
          }) == 1) {
        return buffer_of_[static_cast<size_t>(input)];
      }
    }
    return kNone;
  }

  void assign_buffers() {
    buffer_of_.assign(graph_->values.size(), kNone);
    for (size_t step = 0; step < program_->steps.size(); ++step) {
      const Node& node = node_of(step);
      std::vector<int32_t> taken;  // one input can be taken over by one output only
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        const ValueId id = node.outputs[i];
        if (id == kNone || graph_->value(id).kind != ValueKind::intermediate ||
            graph_->value(id).stored_as != kNone) {
          continue;
        }
        const auto now = static_cast<int32_t>(step);
        const int32_t last = std::max(now, last_read_[static_cast<size_t>(id)]);
        const int32_t reused = spec_.unshared ? kNone : reusable_buffer(step, i);
        if (reused != kNone && std::find(taken.begin(), taken.end(), reused) == taken.end()) {
          taken.push_back(reused);
          buffers_[static_cast<size_t>(reused)].last = last;
          buffer_of_[static_cast<size_t>(id)] = reused;
          continue;
        }
        const bool is_gradient = node.pass == Pass::backward;
        buffer_of_[static_cast<size_t>(id)] = static_cast<int32_t>(buffers_.size());
        buffers_.push_back({graph_->value(id).desc.bytes(), now, last, graph_->value(id).name,
                            is_gradient ? ArenaUse::Kind::gradient : ArenaUse::Kind::activation});
      }
    }
  }

  void place() {
    const size_t num_values = buffers_.size();
    const auto threads = static_cast<int64_t>(spec_.num_threads);
    for (size_t step = 0; step < program_->steps.size(); ++step) {
      Step& current = program_->steps[step];
      const auto now = static_cast<int32_t>(step);
      current.thread_scratch_pitch = static_cast<size_t>(round_up(
          static_cast<int64_t>(current.kernel->thread_scratch_bytes()), int64_t{kAlignment}));
      const auto all_threads = static_cast<size_t>(
          checked_multiply(static_cast<int64_t>(current.thread_scratch_pitch), threads));
      buffers_.push_back({current.kernel->shared_scratch_bytes(), now, now,
                          node_of(step).name + " scratch", ArenaUse::Kind::scratch});
      buffers_.push_back(
          {all_threads, now, now, node_of(step).name + " thread scratch", ArenaUse::Kind::scratch});
    }
    const auto end = std::max<int32_t>(static_cast<int32_t>(program_->steps.size()) - 1, 0);
    std::vector<Interval> intervals;
    intervals.reserve(buffers_.size());
    for (const Buffer& buffer : buffers_) {
      intervals.push_back(spec_.unshared ? Interval{buffer.bytes, 0, end}
                                         : Interval{buffer.bytes, buffer.first, buffer.last});
    }
    const Packing packing = pack(intervals, kAlignment);
    program_->arena_bytes = packing.arena_bytes;
    program_->lower_bound_bytes = packing.lower_bound_bytes;
    const std::vector<size_t> live = live_bytes(intervals, kAlignment);
    program_->peak_step = static_cast<int32_t>(
        live.empty() ? 0 : std::max_element(live.begin(), live.end()) - live.begin());
    for (size_t i = 0; i < buffers_.size(); ++i) {
      if (buffers_[i].bytes > 0) {
        program_->uses.push_back({buffers_[i].name, buffers_[i].kind, buffers_[i].bytes,
                                  buffers_[i].first, buffers_[i].last, packing.offsets[i]});
      }
    }
    for (size_t step = 0; step < program_->steps.size(); ++step) {
      program_->steps[step].shared_scratch_offset = packing.offsets[num_values + 2 * step];
      program_->steps[step].thread_scratch_offset = packing.offsets[num_values + 2 * step + 1];
    }
    program_->offsets.assign(graph_->values.size(), Program::kNoOffset);
    for (size_t id = 0; id < graph_->values.size(); ++id) {
      if (buffer_of_[id] != kNone) {
        program_->offsets[id] = packing.offsets[static_cast<size_t>(buffer_of_[id])];
      }
    }
  }

  std::shared_ptr<const Graph> graph_;
  PlanSpec spec_;
  const TimeModel& time_;
  std::shared_ptr<Program> program_;
  std::vector<int32_t> last_read_;
  std::vector<int32_t> buffer_of_;
  std::vector<Buffer> buffers_;
};

}  // namespace

std::shared_ptr<const Program> plan(std::shared_ptr<const Graph> graph, const PlanSpec& spec,
                                    const TimeModel& time) {
  return Planner(std::move(graph), spec, time).run();
}

}  // namespace wholemount
