#include "wholemount/plan/tape.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace wholemount {

namespace {

constexpr int64_t kScratchAlignment = 64;

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
    const ValueKind kind = graph.values[id].kind;
    if (graph.values[id].keep || kind == ValueKind::parameter_gradient ||
        kind == ValueKind::gradient_factors) {
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

bool in_arena(const Graph& graph, ValueId id) {
  return id != kNone && graph.value(id).kind == ValueKind::intermediate &&
         graph.value(id).stored_as == kNone;
}

TapeStep describe_step(const Graph& graph, NodeId id) {
  const Node& node = graph.nodes[static_cast<size_t>(id)];
  TapeStep step;
  step.node = id;
  step.backward = node.pass == Pass::backward;
  for (const ValueId input : node.inputs) {
    const ValueId stored = input == kNone ? kNone : graph.storage(input);
    const ValueId statistics = input == kNone ? kNone : graph.value(input).transform.statistics;
    step.stored.push_back(in_arena(graph, stored) ? stored : kNone);
    step.statistics.push_back(in_arena(graph, statistics) ? statistics : kNone);
  }
  step.repeatable = !step.backward;
  for (const ValueId output : node.outputs) {
    const bool here = in_arena(graph, output);
    step.outputs.push_back(here ? output : kNone);
    step.repeatable = step.repeatable && (output == kNone || here) &&
                      (output == kNone || !graph.value(output).keep);
  }
  return step;
}

std::vector<InPlace> in_place_pairs(const Graph& graph, const TapeStep& step,
                                    const std::vector<size_t>& bytes) {
  std::vector<InPlace> pairs;
  const Node& node = graph.nodes[static_cast<size_t>(step.node)];
  for (size_t o = 0; o < step.outputs.size(); ++o) {
    if (step.outputs[o] == kNone) continue;
    for (size_t i = 0; i < step.stored.size(); ++i) {
      // An input that is read through a transform is not what its memory holds.
      if (step.stored[i] == kNone || graph.value(node.inputs[i]).stored_as != kNone) continue;
      if (bytes[static_cast<size_t>(step.stored[i])] !=
              bytes[static_cast<size_t>(step.outputs[o])] ||
          !node.op->may_overwrite(static_cast<int>(i), static_cast<int>(o))) {
        continue;
      }
      pairs.push_back({static_cast<int32_t>(i), static_cast<int32_t>(o)});
    }
  }
  return pairs;
}

}  // namespace

Tape make_tape(std::shared_ptr<const Graph> graph, const Target& target, int num_threads,
               const TimeModel& time) {
  Tape tape;
  tape.graph = std::move(graph);
  tape.num_threads = num_threads;
  const Graph& g = *tape.graph;
  tape.producer.assign(g.values.size(), kNone);
  tape.bytes.assign(g.values.size(), 0);
  tape.readers.resize(g.values.size());
  const std::vector<bool> wanted = wanted_nodes(g);
  std::vector<TensorDesc> inputs;
  std::vector<TensorDesc> outputs;
  const auto describe = [&](ValueId id) {
    TensorDesc absent;
    absent.n = 0;
    return id == kNone ? absent : g.value(id).desc;
  };
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    if (!wanted[i]) {
      continue;
    }
    const Node& node = g.nodes[i];
    inputs.clear();
    outputs.clear();
    std::transform(node.inputs.begin(), node.inputs.end(), std::back_inserter(inputs), describe);
    std::transform(node.outputs.begin(), node.outputs.end(), std::back_inserter(outputs), describe);
    std::shared_ptr<const Kernel> kernel = node.op->prepare({inputs, outputs, target});
    if (kernel == nullptr) {
      continue;
    }
    TapeStep step = describe_step(g, static_cast<NodeId>(i));
    step.seconds = time.seconds(*kernel);
    step.shared_scratch_bytes = kernel->shared_scratch_bytes();
    step.thread_scratch_pitch = static_cast<size_t>(
        round_up(static_cast<int64_t>(kernel->thread_scratch_bytes()), kScratchAlignment));
    step.kernel = std::move(kernel);
    for (const ValueId output : step.outputs) {
      if (output != kNone) {
        tape.producer[static_cast<size_t>(output)] = static_cast<int32_t>(tape.steps.size());
        tape.bytes[static_cast<size_t>(output)] = g.value(output).desc.bytes();
      }
    }
    step.in_place = in_place_pairs(g, step, tape.bytes);
    for (const ValueId stored : step.stored) {
      if (stored == kNone) {
        continue;
      }
      std::vector<int32_t>& readers = tape.readers[static_cast<size_t>(stored)];
      const auto now = static_cast<int32_t>(tape.steps.size());
      if (readers.empty() || readers.back() != now) {
        readers.push_back(now);
      }
    }
    tape.steps.push_back(std::move(step));
  }
  tape.num_own_steps = tape.steps.size();
  return tape;
}

}  // namespace wholemount
