#include "bench/operators/graph_bench.h"

#include <cstring>

#include "wholemount/base/rng.h"
#include "wholemount/ops/elementwise/elementwise.h"

namespace wholemount::bench {

namespace {

/// Hands its input on without work: y is x.
class LeafOp : public Op {
 public:
  [[nodiscard]] std::string name() const override { return "bench_leaf"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    return output_box;
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& /*context*/) const override {
    return nullptr;
  }
};

/// Inputs {y, grad_y}: gives y the gradient grad_y.
class SeedOp final : public LeafOp {
 public:
  [[nodiscard]] std::string name() const override { return "bench_seed"; }
  [[nodiscard]] bool reads_through(int /*input*/) const override { return true; }
  void differentiate(const Node& node, Differentiation& scope) const override {
    scope.contribute(node.inputs[0], node.inputs[1]);
  }
};

}  // namespace

ValueId trained_input(GraphBuilder& builder, const std::string& name, const TensorDesc& desc) {
  ParameterSpec spec;
  spec.name = name;
  spec.desc = desc;
  return builder.add(std::make_shared<LeafOp>(), {builder.parameter(spec)}, name).front();
}

void add_backward(GraphBuilder& builder, ValueId y) {
  const ValueId gradient = builder.input("gradient", builder.desc(y));
  const ValueId seed = builder.add(std::make_shared<SeedOp>(), {y, gradient}, "seed").front();
  differentiate(builder, {seed}, make_add());
}

struct GraphBench::Step {
  std::shared_ptr<const Kernel> kernel;
  std::vector<InputView> inputs;
  std::vector<OutputView> outputs;
  std::unique_ptr<PageBuffer> shared;
  std::vector<PageBuffer> threads;
  ValueId overwritten = kNone;
  std::unique_ptr<PageBuffer> original;
};

GraphBench::GraphBench(Graph graph, const Target& target, ThreadPool& pool)
    : graph_(std::move(graph)), pool_(pool), memory_(graph_.values.size()) {
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    const Node& node = graph_.nodes[n];
    steps_.push_back(std::make_unique<Step>());
    Step& step = *steps_.back();
    std::vector<TensorDesc> inputs;
    std::vector<TensorDesc> outputs;
    for (const ValueId id : node.inputs) {
      TensorDesc absent;
      absent.n = 0;
      inputs.push_back(id == kNone ? absent : graph_.value(id).desc);
    }
    outputs = node.op->infer(inputs);
    step.kernel = node.op->prepare({inputs, outputs, target});
    if (step.kernel == nullptr) continue;
    for (const ValueId id : node.inputs) step.inputs.push_back(input_of(id));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId id = node.outputs[i];
      for (size_t k = 0; k < node.inputs.size() && step.overwritten == kNone && id != kNone; ++k) {
        // The forward pass's own values are read again by the backward pass.
        if (node.pass == Pass::backward && node.inputs[k] != kNone &&
            node.op->may_overwrite(static_cast<int>(k), static_cast<int>(i)) &&
            inputs[k] == outputs[i] && graph_.value(node.inputs[k]).stored_as == kNone) {
          step.overwritten = node.inputs[k];
          const TensorView shared = view_of(step.overwritten);
          step.outputs.push_back({shared, false});
        }
      }
      if (step.outputs.size() <= i) {
        step.outputs.push_back(
            {id == kNone ? TensorView{outputs[i], nullptr, 0, 0, 0} : view_of(id), false});
      }
    }
    step.shared = std::make_unique<PageBuffer>(step.kernel->shared_scratch_bytes() + 64);
    for (int t = 0; t < pool.num_threads(); ++t) {
      step.threads.emplace_back(step.kernel->thread_scratch_bytes() + 64);
    }
    run(n);
    if (step.overwritten != kNone) {
      const PageBuffer& memory = *memory_[static_cast<size_t>(step.overwritten)];
      step.original = std::make_unique<PageBuffer>(memory.size());
      std::memcpy(step.original->data(), memory.data(), memory.size());
    }
  }
}

GraphBench::~GraphBench() = default;

const Kernel* GraphBench::kernel(size_t node) const { return steps_[node]->kernel.get(); }

TensorView GraphBench::view_of(ValueId id) {
  const Value& value = graph_.value(id);
  std::unique_ptr<PageBuffer>& memory = memory_[static_cast<size_t>(id)];
  if (memory == nullptr) {
    memory = std::make_unique<PageBuffer>(value.desc.bytes());
    if (value.desc.dtype == DType::u8) {
      for (size_t i = 0; i < value.desc.bytes(); ++i) {
        memory->data()[i] = static_cast<std::byte>(i / 37 % 3);
      }
    } else if (value.desc.dtype == DType::f32) {
      CounterRng rng(1, 0, static_cast<uint64_t>(id), "bench");
      auto* out = reinterpret_cast<float*>(memory->data());
      const int64_t width = value.desc.block_width();
      const int64_t block_voxels = volume(value.desc.extent);
      const int64_t blocks = value.desc.num_blocks();
      for (int64_t i = 0; i < value.desc.storage_elements(); ++i) {
        const int64_t channel = i / width / block_voxels % blocks * width + i % width;
        out[i] = channel >= value.desc.c ? 0.0F
                 : i < 65536             ? rng.next_float() - 0.5F
                                         : out[i - 65536 + 16 * (i / 65536 % 3)];
      }
    }
  }
  return whole_view(value.desc, memory->data());
}

InputView GraphBench::input_of(ValueId id) {
  if (id == kNone) {
    InputView absent;
    absent.view.desc.n = 0;
    return absent;
  }
  const Value& value = graph_.value(id);
  InputView input;
  ValueId storage = graph_.storage(id);
  // A leaf is its parameter.
  const Value& stored = graph_.value(storage);
  if (stored.producer != kNone) {
    const Node& producer = graph_.nodes[static_cast<size_t>(stored.producer)];
    if (producer.op->name() == "bench_leaf") storage = producer.inputs[0];
  }
  input.view = view_of(storage);
  if (value.stored_as != kNone) {
    input.transform.slope = value.transform.slope;
    if (value.transform.statistics != kNone) {
      const TensorView rows = view_of(value.transform.statistics);
      input.transform.scale = rows.at<float>(0, StatisticsRow::scale);
      input.transform.shift = rows.at<float>(0, StatisticsRow::shift);
    }
  }
  return input;
}

void GraphBench::run(size_t node) {
  Step& step = *steps_[node];
  for (int phase = 0; phase < step.kernel->num_phases(); ++phase) {
    pool_.run(step.kernel->num_tasks(phase), [&](int64_t task, int thread) {
      KernelArgs args;
      args.inputs = step.inputs;
      args.outputs = step.outputs;
      args.shared_scratch = step.shared->data();
      args.thread_scratch = step.threads[static_cast<size_t>(thread)].data();
      step.kernel->run(phase, task, args);
    });
  }
}

void GraphBench::refill(size_t node) {
  Step& step = *steps_[node];
  if (step.original == nullptr) return;
  std::memcpy(memory_[static_cast<size_t>(step.overwritten)]->data(), step.original->data(),
              step.original->size());
}

}  // namespace wholemount::bench
