#include "wholemount/plan/materialise.h"

#include <algorithm>
#include <utility>

namespace wholemount {

namespace {

const char* origin_text(Version::Origin origin) {
  switch (origin) {
    case Version::Origin::computed:
      break;
    case Version::Origin::recomputed:
      return " (recomputed)";
    case Version::Origin::reloaded:
      return " (read back)";
    case Version::Origin::expanded:
      return " (from bfloat16)";
  }
  return "";
}

bool is_own(const Version& version) { return version.origin == Version::Origin::computed; }

/// The id under which a step reads input `id`: itself, or a copy that leads to other stays.
ValueId led_to(Graph& graph, ValueId id, ValueId stored, ValueId statistics) {
  const Value& value = graph.value(id);
  const bool is_alias = value.stored_as != kNone;
  const ValueId old_stored = is_alias ? value.stored_as : id;
  if (stored == kNone) stored = old_stored;
  if (statistics == kNone) statistics = value.transform.statistics;
  if (stored == old_stored && statistics == value.transform.statistics) return id;
  if (!is_alias) return stored;
  Value copy = value;
  copy.stored_as = stored;
  copy.transform.statistics = statistics;
  graph.values.push_back(std::move(copy));
  return static_cast<ValueId>(graph.values.size()) - 1;
}

}  // namespace

MaterialisedGraph materialise(const Tape& tape, const Schedule& schedule) {
  MaterialisedGraph result;
  result.values.reserve(schedule.versions.size());
  bool changed = false;
  for (const Version& version : schedule.versions) {
    changed = changed || !is_own(version);
    result.values.push_back(version.value);
  }
  for (const ScheduledStep& step : schedule.steps) {
    changed = changed || std::any_of(step.stored.begin(), step.stored.end(),
                                     [](const Operand& operand) { return operand.half; });
  }
  if (!changed) {
    result.graph = tape.graph;
    for (const ScheduledStep& step : schedule.steps) {
      result.nodes.push_back(tape.steps[static_cast<size_t>(step.tape_step)].node);
    }
    return result;
  }
  auto graph = std::make_shared<Graph>(*tape.graph);
  for (size_t v = 0; v < schedule.versions.size(); ++v) {
    const Version& version = schedule.versions[v];
    if (is_own(version)) continue;
    Value copy = graph->value(version.value);
    copy.name += origin_text(version.origin);
    copy.producer = kNone;
    copy.keep = false;
    result.values[v] = static_cast<ValueId>(graph->values.size());
    graph->values.push_back(std::move(copy));
  }
  const auto id_of = [&](int32_t version) {
    return version == kNone ? kNone : result.values[static_cast<size_t>(version)];
  };
  for (const ScheduledStep& step : schedule.steps) {
    NodeId id = tape.steps[static_cast<size_t>(step.tape_step)].node;
    Node node = graph->nodes[static_cast<size_t>(id)];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != kNone) {
        node.inputs[i] = led_to(*graph, node.inputs[i], id_of(step.stored[i].version),
                                id_of(step.statistics[i]));
      }
    }
    if (step.repeated()) {
      if (!tape.is_conversion(step.tape_step)) node.name += " (again)";
      id = static_cast<NodeId>(graph->nodes.size());
      for (size_t o = 0; o < node.outputs.size(); ++o) {
        const ValueId output = id_of(step.outputs[o].version);
        node.outputs[o] = output;
        if (output != kNone) graph->values[static_cast<size_t>(output)].producer = id;
      }
      graph->nodes.push_back(std::move(node));
    } else {
      graph->nodes[static_cast<size_t>(id)] = std::move(node);
    }
    result.nodes.push_back(id);
  }
  result.graph = std::move(graph);
  return result;
}

}  // namespace wholemount
