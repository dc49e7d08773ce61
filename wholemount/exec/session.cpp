#include "wholemount/exec/session.h"

#include <algorithm>

#include "wholemount/base/clock.h"
#include "wholemount/base/error.h"
#include "wholemount/exec/stream_runner.h"

namespace wholemount {

/// Whole values are transferred in pieces, so that the windows of a streamed step get in between.
constexpr size_t kPieceBytes = size_t{8} << 20;

/// Where the external values of one run lie, by ValueId.
struct Session::Binding {
  std::vector<std::byte*> inputs;
};

Session::Session(ThreadPool& pool, ParameterStore& parameters, size_t arena_bytes)
    : Session(pool, parameters, arena_bytes, {}, 0) {}

Session::Session(ThreadPool& pool, ParameterStore& parameters, size_t arena_bytes,
                 const std::string& spill_folder, size_t spill_bytes)
    : pool_(pool), parameters_(parameters), arena_(arena_bytes) {
  if (spill_bytes > 0) {
    spill_ = std::make_unique<SpillTraffic>(spill_folder, spill_bytes);
  }
}

/// Steps through a program's transfers as its steps are run.
class Session::Transfers {
 public:
  Transfers(const Program& program, std::byte* arena, SpillTraffic* traffic)
      : program_(program), arena_(arena), traffic_(traffic) {}

  void before(int32_t step) {
    begin(step, false);
    wait(step, false);
  }
  void after(int32_t step) {
    begin(step, true);
    wait(step, true);
  }

 private:
  struct Pending {
    bool write = false;
    int32_t wait_step = 0;
    std::vector<SpillTraffic::Ticket> tickets;  ///< one a piece
  };

  void begin(int32_t step, bool write) {
    const std::vector<Transfer>& all = program_.transfers;
    for (; next_ < all.size() && all[next_].issue_step == step && all[next_].write == write;
         ++next_) {
      const Transfer& transfer = all[next_];
      std::byte* memory = arena_ + program_.offsets[static_cast<size_t>(transfer.value)];
      Pending pending{write, transfer.wait_step, {}};
      for (size_t begin = 0; begin < transfer.bytes; begin += kPieceBytes) {
        pending.tickets.push_back(
            submit(transfer, memory, begin, std::min(kPieceBytes, transfer.bytes - begin)));
      }
      pending_.push_back(std::move(pending));
    }
  }

  SpillTraffic::Ticket submit(const Transfer& transfer, std::byte* memory, size_t begin,
                              size_t bytes) {
    SpillFile& file = traffic_->file();
    const size_t offset = transfer.file_offset + begin;
    std::byte* data = memory + begin;
    constexpr auto kUrgency = SpillTraffic::Urgency::ordinary;
    if (transfer.write) {
      return traffic_->write(transfer.source, kUrgency,
                             [&file, offset, data, bytes] { file.write(offset, data, bytes); });
    }
    return traffic_->read({transfer.source}, kUrgency,
                          [&file, offset, data, bytes] { file.read(offset, data, bytes); });
  }

  void wait(int32_t step, bool write) {
    std::erase_if(pending_, [&](const Pending& pending) {
      if (pending.wait_step != step || pending.write != write) return false;
      for (const SpillTraffic::Ticket ticket : pending.tickets) {
        if (write) {
          traffic_->wait_write(ticket);
        } else {
          traffic_->wait_read(ticket);
        }
      }
      return true;
    });
  }

  const Program& program_;
  std::byte* arena_;
  SpillTraffic* traffic_;
  size_t next_ = 0;
  std::vector<Pending> pending_;
};

TensorView Session::view_of(const Program& program, const Binding& binding, ValueId id) const {
  const Graph& graph = *program.graph;
  const ValueId stored = graph.storage(id);
  const Value& value = graph.value(stored);
  switch (value.kind) {
    case ValueKind::input: {
      std::byte* data = binding.inputs[static_cast<size_t>(stored)];
      WM_CHECK(data != nullptr, "input " + value.name + " is not bound");
      return whole_view(value.desc, data);
    }
    case ValueKind::parameter:
      return parameters_.value(value.parameter);
    case ValueKind::parameter_gradient:
      return parameters_.gradient(value.parameter, 0);
    case ValueKind::gradient_factors:
      throw InternalError("factors of " + value.name + " belong to a sample of an update");
    case ValueKind::intermediate:
      break;
  }
  const size_t offset = program.offsets[static_cast<size_t>(stored)];
  WM_CHECK(offset != Program::kNoOffset, "value " + value.name + " has no memory");
  return whole_view(value.desc, arena_.data() + offset);
}

TensorView Session::view(const Program& program, ValueId value) const {
  return view_of(program, Binding{}, value);
}

void Session::run(const Program& program, const RunSpec& spec) {
  WM_CHECK(program.arena_bytes <= arena_.size(), "the arena is smaller than the plan");
  WM_CHECK(program.num_threads >= pool_.num_threads(), "planned for fewer threads than are here");
  Binding binding;
  binding.inputs.assign(program.graph->values.size(), nullptr);
  for (const auto& [value, data] : spec.inputs) {
    binding.inputs[static_cast<size_t>(value)] = data;
  }
  if (program.spill_bytes > 0) {
    WM_CHECK(spill_ != nullptr, "the program spills, the session has no scratch file");
    spill_->file().grow(program.spill_bytes);
    spill_->begin();
  }
  Transfers transfers(program, arena_.data(), spill_.get());
  for (size_t step = 0; step < program.steps.size(); ++step) {
    const double begin = spec.after_step ? monotonic_seconds() : 0.0;
    transfers.before(static_cast<int32_t>(step));
    run_step(program, binding, spec, step);
    transfers.after(static_cast<int32_t>(step));
    if (spec.after_step) {
      spec.after_step(step, monotonic_seconds() - begin);
    }
  }
}

void Session::bind_operands(const Program& program, const Binding& binding, const RunSpec& spec,
                            const Step& step) {
  const Graph& graph = *program.graph;
  const Node& node = graph.nodes[static_cast<size_t>(step.node)];
  // StreamRunner gives these their views, window by window.
  const auto streamed = [&](size_t operand, bool output) {
    if (step.stream == nullptr) return false;
    const std::vector<StreamedTensor>& tensors = step.stream->cut->tensors;
    return std::any_of(tensors.begin(), tensors.end(), [&](const StreamedTensor& tensor) {
      return static_cast<size_t>(tensor.operand) == operand && tensor.output == output;
    });
  };
  inputs_.clear();
  outputs_.clear();
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId id = node.inputs[i];
    InputView input;
    if (id == kNone) {
      input.view.desc.n = 0;
    } else {
      input.view = streamed(i, false) ? whole_view(graph.value(id).desc, nullptr)
                                      : view_of(program, binding, id);
      const LoadTransform& transform = graph.value(id).transform;
      input.transform.slope = transform.slope;
      if (transform.statistics != kNone) {
        const TensorView statistics = view_of(program, binding, transform.statistics);
        const int64_t row_bytes = statistics.block_pitch * dtype_bytes(statistics.desc.dtype);
        input.transform.scale = statistics.origin + StatisticsRow::scale * row_bytes;
        input.transform.shift = statistics.origin + StatisticsRow::shift * row_bytes;
      }
    }
    inputs_.push_back(input);
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const ValueId id = node.outputs[i];
    OutputView output;
    if (id == kNone) {
      output.view.desc.n = 0;
    } else if (graph.value(id).kind == ValueKind::parameter_gradient) {
      const int32_t parameter = graph.value(id).parameter;
      if (node.sample == kNone) {
        output.view = parameters_.gradient(parameter, 0);
        output.accumulate = spec.program_index > 0;
      } else {
        WM_CHECK(spec.fold != nullptr, "a gradient sum needs its shape");
        const int64_t sample = spec.first_sample + node.sample;
        output.view = parameters_.gradient(parameter, spec.fold->sample(sample).slot);
        output.accumulate = spec.fold->sample(sample).accumulate;
      }
    } else if (graph.value(id).kind == ValueKind::gradient_factors) {
      output.view = parameters_.factors(graph.value(id).parameter, spec.first_sample + node.sample);
    } else {
      output.view = streamed(i, true) ? whole_view(graph.value(id).desc, nullptr)
                                      : view_of(program, binding, id);
    }
    outputs_.push_back(output);
  }
}

void Session::run_step(const Program& program, const Binding& binding, const RunSpec& spec,
                       size_t index) {
  const Step& step = program.steps[index];
  const Node& node = program.graph->nodes[static_cast<size_t>(step.node)];
  bind_operands(program, binding, spec, step);
  std::byte* shared = arena_.data() + step.shared_scratch_offset;
  std::byte* threads = arena_.data() + step.thread_scratch_offset;
  if (step.stream != nullptr) {
    StreamRunner(step, arena_.data(), *spill_, pool_, inputs_, outputs_).run(shared, threads);
    merge_gradients(program, spec, node);
    return;
  }
  const Kernel& kernel = *step.kernel;
  for (int phase = 0; phase < kernel.num_phases(); ++phase) {
    pool_.run(kernel.num_tasks(phase), [&](int64_t task, int thread) {
      KernelArgs args;
      args.inputs = inputs_;
      args.outputs = outputs_;
      args.shared_scratch = shared;
      args.thread_scratch = threads + step.thread_scratch_pitch * static_cast<size_t>(thread);
      kernel.run(phase, task, args);
    });
  }
  merge_gradients(program, spec, node);
}

void Session::merge_gradients(const Program& program, const RunSpec& spec, const Node& node) {
  if (node.sample == kNone || spec.fold == nullptr) {
    return;
  }
  for (const ValueId id : node.outputs) {
    if (id == kNone || program.graph->value(id).kind != ValueKind::parameter_gradient) {
      continue;
    }
    for (const GradientFold::Merge& merge :
         spec.fold->sample(spec.first_sample + node.sample).merges) {
      parameters_.merge(program.graph->value(id).parameter, merge.destination, merge.source, pool_);
    }
  }
}

}  // namespace wholemount
