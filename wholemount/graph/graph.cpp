#include "wholemount/graph/graph.h"

#include <algorithm>
#include <utility>

#include "wholemount/base/checked.h"

namespace wholemount {

GraphBuilder::GraphBuilder(std::shared_ptr<const Op> apply, int32_t num_samples)
    : apply_(std::move(apply)) {
  WM_CHECK(num_samples >= 1, "a graph has at least one sample");
  graph_.num_samples = num_samples;
}

ValueId GraphBuilder::new_value(const std::string& name, const TensorDesc& desc, ValueKind kind) {
  Value value;
  value.name = name;
  value.desc = desc;
  value.kind = kind;
  graph_.values.push_back(std::move(value));
  return static_cast<ValueId>(graph_.values.size() - 1);
}

ValueId GraphBuilder::input(const std::string& name, const TensorDesc& desc) {
  return new_value(name, desc, ValueKind::input);
}

ValueId GraphBuilder::parameter(const ParameterSpec& spec) {
  for (size_t id = 0; id < graph_.values.size(); ++id) {
    const Value& value = graph_.values[id];
    if (value.kind == ValueKind::parameter && value.name == spec.name) {
      WM_CHECK(value.desc == spec.desc, "parameter " + spec.name + " declared with two shapes");
      return static_cast<ValueId>(id);
    }
  }
  graph_.parameters.push_back(spec);
  const ValueId id = new_value(spec.name, spec.desc, ValueKind::parameter);
  graph_.values.back().parameter = static_cast<int32_t>(graph_.parameters.size() - 1);
  return id;
}

std::vector<TensorDesc> GraphBuilder::descs_of(const std::vector<ValueId>& ids) const {
  std::vector<TensorDesc> descs;
  descs.reserve(ids.size());
  for (const ValueId id : ids) {
    descs.push_back(id == kNone ? TensorDesc{} : desc(id));
    if (id == kNone) descs.back().n = 0;
  }
  return descs;
}

std::vector<ValueId> GraphBuilder::add(std::shared_ptr<const Op> op, std::vector<ValueId> inputs,
                                       const std::string& name) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueId id = inputs[i];
    if (id == kNone || graph_.value(id).stored_as == kNone ||
        op->reads_through(static_cast<int>(i))) {
      continue;
    }
    const auto known = std::find_if(written_out_.begin(), written_out_.end(),
                                    [&](const auto& pair) { return pair.first == id; });
    if (known != written_out_.end()) {
      inputs[i] = known->second;
      continue;
    }
    const ValueId copy = add(apply_, {id}, graph_.value(id).name + ".apply").front();
    written_out_.emplace_back(id, copy);
    inputs[i] = copy;
  }
  const std::vector<TensorDesc> outputs = op->infer(descs_of(inputs));
  Node node;
  node.name = name;
  node.op = std::move(op);
  node.inputs = std::move(inputs);
  node.pass = pass_;
  node.layer = layer_;
  node.sample = sample_;
  const auto node_id = static_cast<NodeId>(graph_.nodes.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string value_name = outputs.size() == 1 ? name : name + ":" + std::to_string(i);
    const ValueId id = new_value(value_name, outputs[i], ValueKind::intermediate);
    graph_.values[static_cast<size_t>(id)].producer = node_id;
    node.outputs.push_back(id);
  }
  std::vector<ValueId> result = node.outputs;
  graph_.nodes.push_back(std::move(node));
  return result;
}

void GraphBuilder::alias(ValueId value, ValueId stored, LoadTransform transform) {
  WM_CHECK(graph_.value(stored).stored_as == kNone,
           "a value is read through at most one LoadTransform");
  Value& target = graph_.values[static_cast<size_t>(value)];
  WM_CHECK(target.desc == graph_.value(stored).desc, "an alias has the shape of what it reads");
  target.stored_as = stored;
  target.transform = transform;
}

void GraphBuilder::bind_parameter_gradient(ValueId value, ValueId parameter_value) {
  const Value& parameter = graph_.value(parameter_value);
  WM_CHECK(parameter.kind == ValueKind::parameter, "gradient bound to something else");
  Value& target = graph_.values[static_cast<size_t>(value)];
  WM_CHECK(target.desc == parameter.desc, "gradient of " + parameter.name + " has another shape");
  target.kind = ValueKind::parameter_gradient;
  target.parameter = parameter.parameter;
}

TensorDesc gradient_factors_desc(const TensorDesc& parameter) {
  const int64_t count = checked_add(parameter.n, parameter.num_elements() / parameter.n);
  return TensorDesc::plain(1, 1, {1, 1, count}, parameter.dtype);
}

void GraphBuilder::bind_gradient_factors(ValueId value, ValueId parameter_value) {
  const Value& parameter = graph_.value(parameter_value);
  WM_CHECK(parameter.kind == ValueKind::parameter && sample_ != kNone,
           "factors are those of one sample's gradient of a parameter");
  for (const Value& other : graph_.values) {
    const bool same = other.kind == ValueKind::gradient_factors &&
                      other.parameter == parameter.parameter &&
                      graph_.nodes[static_cast<size_t>(other.producer)].sample == sample_;
    WM_CHECK(!same, "two pairs of factors for " + parameter.name);
  }
  Value& target = graph_.values[static_cast<size_t>(value)];
  WM_CHECK(target.desc == gradient_factors_desc(parameter.desc),
           "factors of " + parameter.name + " have another shape");
  target.kind = ValueKind::gradient_factors;
  target.parameter = parameter.parameter;
  graph_.parameters[static_cast<size_t>(parameter.parameter)].factored = true;
}

void GraphBuilder::replace(NodeId id, std::shared_ptr<const Op> op, std::vector<ValueId> inputs) {
  Node& node = graph_.nodes[static_cast<size_t>(id)];
  const std::vector<TensorDesc> outputs = op->infer(descs_of(inputs));
  WM_CHECK(outputs.size() == node.outputs.size(), node.name + " exchanged for another operator");
  for (size_t i = 0; i < outputs.size(); ++i) {
    WM_CHECK(node.outputs[i] == kNone || desc(node.outputs[i]) == outputs[i],
             node.name + " exchanged for an operator with other outputs");
  }
  node.op = std::move(op);
  node.inputs = std::move(inputs);
}

std::shared_ptr<const Op> GraphBuilder::op_with_moments(ValueId id) const {
  const Value& value = graph_.value(id);
  if (value.stored_as != kNone || value.producer == kNone) return nullptr;
  const Node& node = graph_.nodes[static_cast<size_t>(value.producer)];
  if (node.pass != pass_ || node.outputs.front() != id) return nullptr;
  return node.op->with_moments(descs_of(node.inputs));
}

bool GraphBuilder::has_moments(ValueId value) const {
  return std::any_of(moments_.begin(), moments_.end(),
                     [&](const auto& pair) { return pair.first == value; }) ||
         op_with_moments(value) != nullptr;
}

ValueId GraphBuilder::moments(ValueId value) {
  for (const auto& [of, known] : moments_) {
    if (of == value) return known;
  }
  std::shared_ptr<const Op> op = op_with_moments(value);
  const std::string name = graph_.value(value).name;
  WM_CHECK(op != nullptr, name + " comes from an operator that sums no moments");
  const NodeId producer = graph_.value(value).producer;
  Node& node = graph_.nodes[static_cast<size_t>(producer)];
  const std::vector<TensorDesc> outputs = op->infer(descs_of(node.inputs));
  WM_CHECK(outputs.size() == node.outputs.size() + 1 && outputs.front() == desc(value) &&
               outputs.back() == moments_desc(desc(value).c),
           node.name + " exchanged for an operator without moments");
  const ValueId result = new_value(name + ".moments", outputs.back(), ValueKind::intermediate);
  graph_.values.back().producer = producer;
  node.op = std::move(op);
  node.outputs.push_back(result);
  moments_.emplace_back(value, result);
  return result;
}

void GraphBuilder::drop_output(ValueId value) {
  const Value& dropped = graph_.value(value);
  WM_CHECK(dropped.producer != kNone, "only outputs of nodes can be dropped");
  for (ValueId& output : graph_.nodes[static_cast<size_t>(dropped.producer)].outputs) {
    if (output == value) {
      output = kNone;
    }
  }
}

}  // namespace wholemount
