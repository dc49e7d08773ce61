#include "testing/interpreter.h"

#include "testing/fill.h"
#include "wholemount/base/error.h"

namespace wholemount {

Interpreter::Interpreter(const Graph& graph, const Target& target, ThreadPool* threads)
    : graph_(graph),
      threads_(threads),
      buffers_(graph.values.size()),
      gradient_buffers_(graph.parameters.size()),
      gradient_begun_(graph.parameters.size(), false) {
  std::vector<std::shared_ptr<GuardedBuffer>> parameter_buffers(graph.parameters.size());
  for (size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    if (value.stored_as != kNone) continue;
    std::shared_ptr<GuardedBuffer>* shared = nullptr;
    if (value.kind == ValueKind::parameter) {
      shared = &parameter_buffers[static_cast<size_t>(value.parameter)];
    } else if (value.kind == ValueKind::parameter_gradient) {
      shared = &gradient_buffers_[static_cast<size_t>(value.parameter)];
    }
    if (shared != nullptr && *shared) {
      buffers_[i] = *shared;
      continue;
    }
    buffers_[i] = std::make_shared<GuardedBuffer>(value.desc.bytes());
    if (shared != nullptr) *shared = buffers_[i];
  }
  for (const Node& node : graph.nodes) {
    std::vector<TensorDesc> inputs;
    std::vector<TensorDesc> outputs;
    const TensorDesc absent = TensorDesc::plain(0, 0, {0, 0, 0});
    for (const ValueId id : node.inputs) {
      inputs.push_back(id == kNone ? absent : graph.value(id).desc);
    }
    const std::vector<TensorDesc> inferred = node.op->infer(inputs);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      outputs.push_back(node.outputs[i] == kNone ? inferred[i] : graph.value(node.outputs[i]).desc);
    }
    kernels_.push_back(node.op->prepare({inputs, outputs, target}));
    if (kernels_.back()) continue;
    for (const ValueId id : node.outputs) {
      WM_CHECK(id == kNone || graph.value(id).stored_as != kNone,
               "node " + node.name + " has no kernel, but its output has memory of its own");
    }
  }
}

ValueId Interpreter::find(const std::string& name) const {
  for (size_t i = 0; i < graph_.values.size(); ++i) {
    if (graph_.values[i].name == name) return static_cast<ValueId>(i);
  }
  throw InternalError("the graph has no value named " + name);
}

const GuardedBuffer& Interpreter::buffer(ValueId id) const {
  return *buffers_[static_cast<size_t>(graph_.storage(id))];
}

TensorView Interpreter::view(ValueId id) const {
  return whole_view(graph_.value(graph_.storage(id)).desc, buffer(id).data());
}

InputView Interpreter::input_view(ValueId id) const {
  InputView input;
  if (id == kNone) {
    input.view.desc = TensorDesc::plain(0, 0, {0, 0, 0});
    return input;
  }
  input.view = view(id);
  const Value& value = graph_.value(id);
  if (value.stored_as == kNone) return input;
  input.transform.slope = value.transform.slope;
  if (value.transform.statistics != kNone) {
    const TensorView rows = view(value.transform.statistics);
    const bool is_double = rows.desc.dtype == DType::f64;
    const auto row = [&](int64_t index) -> const void* {
      if (is_double) return rows.at<double>(0, index);
      return rows.at<float>(0, index);
    };
    input.transform.scale = row(StatisticsRow::scale);
    input.transform.shift = row(StatisticsRow::shift);
  }
  return input;
}

void Interpreter::set(ValueId id, const std::vector<double>& values) {
  from_plain(view(id), values);
}

std::vector<double> Interpreter::get(ValueId id) const { return to_plain(view(id)); }

std::vector<double> Interpreter::parameter_gradient(int32_t parameter) const {
  const auto index = static_cast<size_t>(parameter);
  if (graph_.parameters[index].factored) return sum_of_outer_products(parameter);
  if (!gradient_begun_[index]) return {};
  return to_plain(whole_view(graph_.parameters[index].desc, gradient_buffers_[index]->data()));
}

std::vector<double> Interpreter::sum_of_outer_products(int32_t parameter) const {
  const TensorDesc& desc = graph_.parameters[static_cast<size_t>(parameter)].desc;
  std::vector<double> sum(static_cast<size_t>(desc.num_elements()), 0.0);
  const auto rows = static_cast<size_t>(desc.n);
  const size_t columns = sum.size() / rows;
  for (size_t id = 0; id < graph_.values.size(); ++id) {
    const Value& value = graph_.values[id];
    if (value.kind != ValueKind::gradient_factors || value.parameter != parameter) continue;
    const std::vector<double> factors = get(static_cast<ValueId>(id));
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < columns; ++c) sum[r * columns + c] += factors[r] * factors[rows + c];
    }
  }
  return sum;
}

void Interpreter::run(Pass last, const Interpreter* decisions) {
  gradient_begun_.assign(gradient_begun_.size(), false);
  for (size_t i = 0; i < graph_.values.size(); ++i) {
    const ValueKind kind = graph_.values[i].kind;
    const bool computed = kind != ValueKind::input && kind != ValueKind::parameter;
    if (computed && buffers_[i]) buffers_[i]->poison();
  }
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    if (last == Pass::forward && graph_.nodes[i].pass == Pass::backward) continue;
    if (kernels_[i]) run_node(i, decisions);
  }
}

void Interpreter::run_node(size_t node_index, const Interpreter* decisions) {
  const Node& node = graph_.nodes[node_index];
  const Kernel& kernel = *kernels_[node_index];
  std::vector<InputView> inputs;
  std::vector<InputView> twins;
  std::vector<OutputView> outputs;
  for (const ValueId id : node.inputs) {
    inputs.push_back(input_view(id));
    if (decisions != nullptr) twins.push_back(decisions->input_view(id));
  }
  for (const ValueId id : node.outputs) {
    OutputView output;
    if (id != kNone) {
      output.view = view(id);
      const Value& value = graph_.value(id);
      if (value.kind == ValueKind::parameter_gradient) {
        output.accumulate = gradient_begun_[static_cast<size_t>(value.parameter)];
        gradient_begun_[static_cast<size_t>(value.parameter)] = true;
      }
    }
    outputs.push_back(output);
  }
  const int num_threads = threads_ == nullptr ? 1 : threads_->num_threads();
  const GuardedBuffer shared_scratch(kernel.shared_scratch_bytes());
  std::vector<GuardedBuffer> thread_scratch;
  for (int i = 0; i < num_threads; ++i) thread_scratch.emplace_back(kernel.thread_scratch_bytes());
  const auto run_task = [&](int phase, int64_t task, int thread) {
    kernel.run(phase, task,
               {inputs, outputs, shared_scratch.data(),
                thread_scratch[static_cast<size_t>(thread)].data(), twins});
  };
  for (int phase = 0; phase < kernel.num_phases(); ++phase) {
    const int64_t num_tasks = kernel.num_tasks(phase);
    if (threads_ != nullptr) {
      threads_->run(num_tasks, [&](int64_t task, int thread) { run_task(phase, task, thread); });
    } else {
      for (int64_t task = 0; task < num_tasks; ++task) run_task(phase, task, 0);
    }
  }
  bool intact = shared_scratch.guards_intact();
  for (const GuardedBuffer& scratch : thread_scratch) intact = intact && scratch.guards_intact();
  for (const ValueId id : node.outputs)
    intact = intact && (id == kNone || buffer(id).guards_intact());
  WM_CHECK(intact, "kernel " + kernel.name() + " of node " + node.name +
                       " wrote beyond its outputs or scratch");
}

}  // namespace wholemount
