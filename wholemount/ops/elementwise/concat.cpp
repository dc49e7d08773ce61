#include "wholemount/graph/slab_kernel.h"
#include "wholemount/ops/elementwise/channel_copy.h"
#include "wholemount/ops/elementwise/elementwise.h"
#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

int64_t traffic(const TensorDesc& joined) {
  return checked_multiply(static_cast<int64_t>(joined.bytes()), 2);
}

bool wants_reference(const PrepareContext& context) {
  return context.target.reference || context.inputs[0].dtype == DType::f64;
}

/// Calls body(input, channel within it) for a channel of the joined tensor.
struct Place {
  size_t part = 0;
  int64_t channel = 0;
};
template <class Views, class ChannelsOf>
Place place_of(const Views& parts, int64_t channel, ChannelsOf channels_of) {
  Place place{0, channel};
  while (place.channel >= channels_of(parts[place.part])) {
    place.channel -= channels_of(parts[place.part]);
    ++place.part;
  }
  return place;
}

template <class T>
class ConcatReference final : public SlabKernel {
 public:
  explicit ConcatReference(const PrepareContext& context)
      : SlabKernel("concat_reference", SlabTasks(context.outputs[0]), 0,
                   traffic(context.outputs[0])) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& y = args.outputs[0].view;
    for_each_slab_element<T>(task, y, [&](int64_t c, int64_t d, int64_t h, int64_t w) {
      const Place from =
          place_of(args.inputs, c, [](const InputView& input) { return input.view.desc.c; });
      const TransformedReader<T> x(args.inputs[from.part],
                                   args.decisions.empty() ? nullptr : &args.decisions[from.part]);
      element<T>(y, task.n, c, d, h, w) = x(task.n, from.channel, d, h, w);
    });
  }
};

class ConcatKernel final : public SlabKernel {
 public:
  explicit ConcatKernel(const PrepareContext& context)
      : SlabKernel("concat_" + std::string(isa_name(context.target.isa)),
                   SlabTasks(context.outputs[0]), 0, traffic(context.outputs[0])),
        copy_(context.target.isa) {}

 protected:
  void run_slab(const SlabTasks::Task& task, const KernelArgs& args) const override {
    const TensorView& y = args.outputs[0].view;
    const ChannelRange channels = channels_of_block(y.desc, task.block);
    ChannelRun runs[16];
    size_t num_runs = 0;
    for (int64_t c = channels.first; c < channels.last; c += runs[num_runs++].count) {
      const Place from =
          place_of(args.inputs, c, [](const InputView& input) { return input.view.desc.c; });
      const InputView& x = args.inputs[from.part];
      runs[num_runs] = {&x, from.channel,
                        std::min(channels.last - c, x.view.desc.c - from.channel)};
    }
    copy_.copy({runs, num_runs}, y, task);
  }

 private:
  ChannelCopy copy_;
};

/// A part of a concatenation.
struct Part {
  int64_t channels = 0;
  Layout layout = Layout::plain;
};

/// One task: a band of one channel block of one part.
class SplitKernel final : public Kernel {
 public:
  explicit SplitKernel(const PrepareContext& context)
      : joined_(context.inputs[0]),
        reference_(wants_reference(context)),
        name_(reference_ ? "split_reference"
                         : "split_" + std::string(isa_name(context.target.isa))),
        copy_(context.target.isa) {
    int64_t tasks = 0;
    int64_t channel = 0;
    for (const TensorDesc& desc : context.outputs) {
      const SlabTasks cut(desc);
      parts_.push_back({tasks, channel, cut});
      tasks += cut.count();
      channel += desc.c;
    }
    num_tasks_ = tasks;
  }
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] int64_t flops() const override { return 0; }
  [[nodiscard]] int64_t traffic_bytes() const override { return traffic(joined_); }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return num_tasks_; }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int /*input*/) const override {
    const PartTasks& part = parts_[part_of(task)];
    return part.cut.at(task - part.first_task).box;
  }
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override {
    return part_of(task) == static_cast<size_t>(output) ? input_box(phase, task, 0) : Box3{};
  }
  void run(int /*phase*/, int64_t task_index, const KernelArgs& args) const override {
    const size_t index = part_of(task_index);
    const PartTasks& part = parts_[index];
    const TensorView& y = args.outputs[index].view;
    if (y.origin == nullptr) return;
    const SlabTasks::Task task = part.cut.at(task_index - part.first_task);
    if (joined_.dtype == DType::f64) {
      copy_plainly<double>(task, args.inputs[0].view, part.first_channel, y);
    } else if (reference_) {
      copy_plainly<float>(task, args.inputs[0].view, part.first_channel, y);
    } else {
      copy_vectors(task, args.inputs[0], part.first_channel, y);
    }
  }

 private:
  struct PartTasks {
    int64_t first_task = 0;
    int64_t first_channel = 0;
    SlabTasks cut;
  };

  [[nodiscard]] size_t part_of(int64_t task) const {
    size_t part = parts_.size() - 1;
    while (parts_[part].first_task > task) --part;
    return part;
  }

  template <class T>
  static void copy_plainly(const SlabTasks::Task& task, const TensorView& joined,
                           int64_t first_channel, const TensorView& y) {
    for_each_slab_element<T>(task, y, [&](int64_t c, int64_t d, int64_t h, int64_t w) {
      element<T>(y, task.n, c, d, h, w) = element<T>(joined, task.n, first_channel + c, d, h, w);
    });
  }

  void copy_vectors(const SlabTasks::Task& task, const InputView& joined, int64_t first_channel,
                    const TensorView& y) const {
    const ChannelRange channels = channels_of_block(y.desc, task.block);
    // Gradients carry no LoadTransform.
    const InputView plain_read{joined.view, {}};
    const ChannelRun run{&plain_read, first_channel + channels.first,
                         channels.last - channels.first};
    copy_.copy({&run, 1}, y, task);
  }

  TensorDesc joined_;
  bool reference_;
  std::string name_;
  ChannelCopy copy_;
  std::vector<PartTasks> parts_;
  int64_t num_tasks_ = 0;
};

/// Input {grad_y}, outputs: the gradients of the parts.
class SplitOp final : public Op {
 public:
  explicit SplitOp(std::vector<Part> parts) : parts_(std::move(parts)) {}
  [[nodiscard]] std::string name() const override { return "split"; }
  [[nodiscard]] std::string attributes() const override {
    std::string text = "c";
    for (const Part& part : parts_)
      text += (text.size() > 1 ? "+" : "") + std::to_string(part.channels);
    return text;
  }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    std::vector<TensorDesc> outputs;
    int64_t channels = 0;
    for (const Part& part : parts_) {
      TensorDesc desc = inputs[0];
      desc.c = part.channels;
      desc.layout = desc.dtype == DType::f64 ? Layout::plain : part.layout;
      outputs.push_back(desc);
      channels = checked_add(channels, part.channels);
    }
    if (channels != inputs[0].c) {
      throw ShapeError("split: input is " + to_string(inputs[0]) + ", wanted " +
                       std::to_string(channels) + " channels");
    }
    return outputs;
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    return output_box;
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    return std::make_shared<SplitKernel>(context);
  }

 private:
  std::vector<Part> parts_;
};

class ConcatOp final : public Op {
 public:
  [[nodiscard]] std::string name() const override { return "concat"; }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    if (inputs.empty()) throw ShapeError("concat: nothing given, wanted at least one value");
    int64_t channels = 0;
    for (const TensorDesc& desc : inputs) {
      if (desc.n != inputs[0].n || desc.extent != inputs[0].extent ||
          desc.dtype != inputs[0].dtype) {
        throw ShapeError("concat: " + to_string(desc) + " does not fit to " + to_string(inputs[0]) +
                         "; wanted the same n, extent and element type");
      }
      channels = checked_add(channels, desc.c);
    }
    if (inputs[0].dtype != DType::f32 && inputs[0].dtype != DType::f64) {
      throw ShapeError("concat: values are " + to_string(inputs[0]) + ", wanted f32 or f64");
    }
    return {TensorDesc::activation(inputs[0].n, channels, inputs[0].extent, inputs[0].dtype)};
  }
  [[nodiscard]] Box3 input_region(int /*input*/, const Box3& output_box,
                                  std::span<const TensorDesc> /*inputs*/) const override {
    return output_box;
  }
  [[nodiscard]] bool reads_through(int /*input*/) const override { return true; }
  void differentiate(const Node& node, Differentiation& scope) const override {
    const ValueId grad_y = scope.gradient(node.outputs[0]);
    if (grad_y == kNone) return;
    std::vector<Part> parts;
    for (const ValueId input : node.inputs) {
      const TensorDesc& desc = scope.builder().desc(input);
      parts.push_back({desc.c, desc.layout});
    }
    const std::vector<ValueId> gradients = scope.builder().add(
        std::make_shared<SplitOp>(std::move(parts)), {grad_y}, node.name + ".backward");
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (scope.wanted(node.inputs[i])) {
        scope.contribute(node.inputs[i], gradients[i]);
      } else {
        scope.builder().drop_output(gradients[i]);
      }
    }
  }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.inputs[0].dtype == DType::f64) {
      return std::make_shared<ConcatReference<double>>(context);
    }
    if (wants_reference(context)) return std::make_shared<ConcatReference<float>>(context);
    return std::make_shared<ConcatKernel>(context);
  }
};

}  // namespace

ValueId concat(GraphBuilder& builder, std::span<const ValueId> values, const std::string& name) {
  return builder
      .add(std::make_shared<ConcatOp>(), std::vector<ValueId>(values.begin(), values.end()), name)
      .front();
}

}  // namespace wholemount
