#include <algorithm>
#include <utility>

#include "wholemount/graph/graph.h"

namespace wholemount {

Differentiation::Differentiation(GraphBuilder& builder, std::shared_ptr<const Op> add)
    : builder_(builder), add_(std::move(add)) {
  const Graph& graph = builder.graph();
  gradients_.assign(graph.values.size(), kNone);
  wanted_.assign(graph.values.size(), false);
  for (size_t id = 0; id < graph.values.size(); ++id) {
    const Value& value = graph.values[id];
    wanted_[id] = value.kind == ValueKind::parameter &&
                  graph.parameters[static_cast<size_t>(value.parameter)].role !=
                      ParameterRole::moving_statistic;
  }
  for (const Node& node : graph.nodes) {
    const bool any = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) {
      return id != kNone && wanted_[static_cast<size_t>(id)];
    });
    for (const ValueId id : node.outputs) {
      if (id != kNone) {
        wanted_[static_cast<size_t>(id)] = any;
      }
    }
  }
}

bool Differentiation::wanted(ValueId value) const {
  return value != kNone && static_cast<size_t>(value) < wanted_.size() &&
         wanted_[static_cast<size_t>(value)];
}

ValueId Differentiation::gradient(ValueId value) const {
  return value == kNone ? kNone : gradients_[static_cast<size_t>(value)];
}

ValueId Differentiation::take(ValueId value) {
  return std::exchange(gradients_[static_cast<size_t>(value)], kNone);
}

void Differentiation::contribute(ValueId value, ValueId gradient) {
  ValueId& slot = gradients_[static_cast<size_t>(value)];
  if (slot == kNone) {
    slot = gradient;
    return;
  }
  slot = builder_.add(add_, {slot, gradient}, builder_.graph().value(value).name + ".grad_sum")
             .front();
}

bool Differentiation::rectify(ValueId gradient, ValueId y, ValueId x, float slope) {
  const Graph& graph = builder_.graph();
  const NodeId producer = graph.value(gradient).producer;
  if (producer == kNone) return false;
  const Node& node = graph.nodes[static_cast<size_t>(producer)];
  if (node.pass != Pass::backward || node.outputs.size() != 1) return false;
  const bool read =
      std::any_of(graph.nodes.begin() + producer, graph.nodes.end(), [&](const Node& later) {
        return std::find(later.inputs.begin(), later.inputs.end(), gradient) != later.inputs.end();
      });
  if (read) return false;
  RectifiedOp rectified = node.op->rectified(node, y, slope);
  if (rectified.op == nullptr) return false;
  std::vector<ValueId> inputs = node.inputs;
  if (rectified.takes_x) inputs.push_back(x);
  builder_.replace(producer, std::move(rectified.op), std::move(inputs));
  return true;
}

std::vector<NodeId> Differentiation::readers(ValueId value) const {
  std::vector<NodeId> result;
  const Graph& graph = builder_.graph();
  for (size_t id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    if (node.pass == Pass::forward &&
        std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end()) {
      result.push_back(static_cast<NodeId>(id));
    }
  }
  return result;
}

void differentiate(GraphBuilder& builder, const std::vector<ValueId>& losses,
                   std::shared_ptr<const Op> add) {
  for (const ValueId loss : losses) {
    WM_CHECK(builder.graph().value(loss).producer != kNone, "a loss is computed by a node");
    builder.keep(loss);
  }
  Differentiation scope(builder, std::move(add));
  const auto num_forward = static_cast<NodeId>(builder.graph().nodes.size());
  const int32_t sample_before = builder.sample();
  const int32_t layer_before = builder.layer();
  builder.set_pass(Pass::backward);

  // A run of nodes of one layer that apply the same operator kind to different samples is visited
  // in rising sample order, so that parameter gradients arrive sample 0 first.
  NodeId end = num_forward;
  while (end > 0) {
    NodeId begin = end - 1;
    const auto node_at = [&](NodeId id) -> const Node& {
      return builder.graph().nodes[static_cast<size_t>(id)];
    };
    while (begin > 0 && node_at(begin - 1).layer == node_at(end - 1).layer &&
           node_at(begin - 1).sample != kNone && node_at(begin).sample != kNone &&
           node_at(begin - 1).sample < node_at(begin).sample &&
           node_at(begin - 1).op->name() == node_at(end - 1).op->name()) {
      --begin;
    }
    for (NodeId id = begin; id < end; ++id) {
      // A copy: differentiate() appends to the node list.
      const Node node = node_at(id);  // NOLINT(performance-unnecessary-copy-initialization)
      builder.set_sample(node.sample);
      builder.set_layer(node.layer);
      node.op->differentiate(node, scope);
    }
    end = begin;
  }
  builder.set_sample(sample_before);
  builder.set_layer(layer_before);
}

}  // namespace wholemount
