#include "wholemount/ops/conv/head_kernels.h"

#include <algorithm>

#include "wholemount/base/cpu.h"
#include "wholemount/ops/conv/inner/head_rows.h"
#include "wholemount/ops/conv/inner/rows.h"
#include "wholemount/ops/conv/scratch_cursor.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

namespace {

/// Larger results leave the caches before they are read again.
constexpr int64_t kStreamBytes = int64_t{16} << 20;
constexpr int64_t kTaskBytes = int64_t{512} << 10;
alignas(64) constexpr float kOnes[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
alignas(64) constexpr float kZeros[16] = {};

bool is_pointwise(const ConvGeometry& g) {
  constexpr Extent3 kOne{1, 1, 1};
  return g.kernel == kOne && g.stride == kOne && g.padding == Extent3{0, 0, 0};
}
bool is_planar(const TensorDesc& desc) {
  return desc.n > 0 && desc.dtype == DType::f32 && desc.layout == Layout::plain &&
         desc.c <= kHeadChannels;
}
bool is_blocked(const TensorDesc& desc) {
  return desc.n == 0 || (desc.dtype == DType::f32 && desc.layout == Layout::blocked16);
}

HeadBlock head_block(const InputView& input, const ChannelBlock& block, int64_t n, int64_t d,
                     int64_t h) {
  const BlockTransform transform = block_transform(input.transform, block);
  return {input.view.address(n, block.block, d, h),
          transform.scale == nullptr ? kOnes : transform.scale,
          transform.shift == nullptr ? kZeros : transform.shift,
          transform.slope,
          !transform.active,
          input.view.is_bfloat16()};
}

/// One row of each channel of a planar tensor. A LoadTransform is applied in `scratch`
/// (planar_row_floats); without one the tensor itself is pointed to.
void planar_row(const InputView& input, int64_t n, int64_t d, int64_t h, Isa isa, float* scratch,
                const float** rows) {
  const auto channels = static_cast<int32_t>(input.view.desc.c);
  const int64_t width = input.view.desc.extent.w;
  if (input.transform.identity()) {
    for (int64_t c = 0; c < channels; ++c) rows[c] = input.view.at<float>(n, c, d, h);
    return;
  }
  const BlockTransform transform = block_transform(input.transform, {0, 0, channels, 0, true});
  RowCopy copy{};
  copy.source = input.view.at<float>(n, 0, d, h);
  copy.source_step = 1;
  copy.channel_pitch = input.view.block_pitch;
  copy.channels = channels;
  copy.plain = true;
  copy.pitch = kHeadChannels;
  copy.destination = scratch;
  copy.count = width;
  copy.transformed = transform.active;
  copy.scale = transform.scale;
  copy.shift = transform.shift;
  copy.slope = transform.slope;
  WM_PICK_ISA(isa, copy_row)(copy);
  float* out = scratch + width * kHeadChannels;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t w = 0; w < width; ++w) out[c * width + w] = scratch[w * kHeadChannels + c];
    rows[c] = out + c * width;
  }
}
int64_t planar_row_floats(const TensorDesc& desc) { return desc.extent.w * kHeadChannels * 2; }

/// What both directions share: rows of the image are independent. Phase 0 packs the weights,
/// [block of the blocked side][planar channel][16].
class HeadCorrelation : public Kernel {
 public:
  HeadCorrelation(CorrelationProblem problem, Isa isa, std::string reason, const TensorDesc& cut,
                  std::span<const TensorDesc> blocked)
      : problem_(std::move(problem)),
        isa_(isa),
        reason_(std::move(reason)),
        tasks_(cut, kTaskBytes),
        blocks_(channel_blocks(blocked)) {}

  [[nodiscard]] std::string name() const override {
    return problem_.pass + "_head_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return std::max<size_t>(blocks_.size(), 1) * kHeadChannels * 16 * sizeof(float);
  }
  [[nodiscard]] int num_phases() const override { return 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override {
    return phase == 0 ? 1 : tasks_.count();
  }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return problem_.is_blocked_source(input);
  }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override {
    if (input == problem_.weights_input) {
      return phase == 0 ? whole_box(problem_.weights.extent) : Box3{};
    }
    if (phase == 0) return {};
    if (input == problem_.bias_input) return whole_box({1, 1, problem_.destination_channels()});
    return tasks_.at(task).box;
  }
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override {
    if (phase == 0 || problem_.destinations[static_cast<size_t>(output)].n == 0) return {};
    return tasks_.at(task).box;
  }
  void run(int phase, int64_t task, const KernelArgs& args) const override {
    if (phase == 0) {
      pack_weights(args);
      return;
    }
    const SlabTasks::Task one = tasks_.at(task);
    for (int64_t d = one.box.begin.d; d < one.box.end.d; ++d) {
      for (int64_t h = one.box.begin.h; h < one.box.end.h; ++h) run_row(one.n, d, h, args);
    }
    stream_fence();
  }

 protected:
  virtual void run_row(int64_t n, int64_t d, int64_t h, const KernelArgs& args) const = 0;
  [[nodiscard]] virtual int64_t planar_channels() const = 0;
  /// Elements between neighbouring channels of either side in the weights.
  [[nodiscard]] virtual int64_t planar_stride() const = 0;
  [[nodiscard]] virtual int64_t blocked_stride() const = 0;

  [[nodiscard]] const float* bias(const KernelArgs& args) const {
    return problem_.bias_input < 0
               ? nullptr
               : args.inputs[static_cast<size_t>(problem_.bias_input)].view.at<float>(0, 0);
  }

  CorrelationProblem problem_;
  Isa isa_;
  std::string reason_;
  SlabTasks tasks_;
  std::vector<ChannelBlock> blocks_;

 private:
  void pack_weights(const KernelArgs& args) const {
    const auto* weights =
        args.inputs[static_cast<size_t>(problem_.weights_input)].view.at<float>(0, 0);
    auto* out = reinterpret_cast<float*>(args.shared_scratch);
    for (const ChannelBlock& block : blocks_) {
      for (int64_t c = 0; c < planar_channels(); ++c) {
        for (int64_t lane = 0; lane < 16; ++lane) {
          *out++ = lane < block.lanes
                       ? weights[c * planar_stride() + (block.channel + lane) * blocked_stride()]
                       : 0.0F;
        }
      }
    }
  }
};

/// Blocked activations to planar logits.
class HeadKernel final : public HeadCorrelation {
 public:
  HeadKernel(const CorrelationProblem& problem, Isa isa, std::string reason)
      : HeadCorrelation(problem, isa, std::move(reason), cut_of(problem), problem.sources) {}
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return blocks_.size() * sizeof(HeadBlock);
  }

 protected:
  [[nodiscard]] int64_t planar_channels() const override { return problem_.destination_channels(); }
  [[nodiscard]] int64_t planar_stride() const override {
    return problem_.destination_weight_stride();
  }
  [[nodiscard]] int64_t blocked_stride() const override { return problem_.source_weight_stride(); }

  void run_row(int64_t n, int64_t d, int64_t h, const KernelArgs& args) const override {
    const TensorView& view = args.outputs[0].view;
    if (view.origin == nullptr) return;
    auto* blocks = reinterpret_cast<HeadBlock*>(args.thread_scratch);
    for (size_t b = 0; b < blocks_.size(); ++b) {
      blocks[b] =
          head_block(args.inputs[static_cast<size_t>(problem_.first_source + blocks_[b].tensor)],
                     blocks_[b], n, d, h);
    }
    HeadRow row{};
    row.blocks = blocks;
    row.num_blocks = static_cast<int32_t>(blocks_.size());
    row.weights = reinterpret_cast<const float*>(args.shared_scratch);
    row.channels = static_cast<int32_t>(planar_channels());
    const float* start = bias(args);
    for (int64_t c = 0; c < planar_channels(); ++c) {
      row.bias[c] = start == nullptr ? 0.0F : start[c];
      row.out[c] = view.at<float>(n, c, d, h);
    }
    row.count = view.desc.extent.w;
    WM_PICK_ISA(isa_, head_row)(row);
  }

 private:
  /// Tasks hold all channels of a band of rows; they are cut by the blocked side's bytes.
  static TensorDesc cut_of(const CorrelationProblem& problem) {
    TensorDesc cut = problem.sources.front();
    cut.c = 16;
    return cut;
  }
};

/// Planar values to blocked activations: the adjoint.
class SpreadKernel final : public HeadCorrelation {
 public:
  SpreadKernel(const CorrelationProblem& problem, Isa isa, std::string reason)
      : HeadCorrelation(problem, isa, std::move(reason), cut_of(problem), problem.destinations) {}
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(planar_row_floats(problem_.sources.front())) * sizeof(float);
  }

 protected:
  [[nodiscard]] int64_t planar_channels() const override { return problem_.source_channels(); }
  [[nodiscard]] int64_t planar_stride() const override { return problem_.source_weight_stride(); }
  [[nodiscard]] int64_t blocked_stride() const override {
    return problem_.destination_weight_stride();
  }

  void run_row(int64_t n, int64_t d, int64_t h, const KernelArgs& args) const override {
    const InputView& input = args.inputs[static_cast<size_t>(problem_.first_source)];
    const float* start = bias(args);
    const float* values[kHeadChannels] = {};
    planar_row(input, n, d, h, isa_, reinterpret_cast<float*>(args.thread_scratch), values);
    for (size_t b = 0; b < blocks_.size(); ++b) {
      const ChannelBlock& block = blocks_[b];
      const TensorView& view = args.outputs[static_cast<size_t>(block.tensor)].view;
      if (view.origin == nullptr) continue;
      alignas(64) float lanes[16] = {};
      for (int64_t c = 0; start != nullptr && c < block.lanes; ++c) {
        lanes[c] = start[block.channel + c];
      }
      SpreadRow row{};
      row.channels = static_cast<int32_t>(planar_channels());
      std::copy_n(values, planar_channels(), row.values);
      row.weights = reinterpret_cast<const float*>(args.shared_scratch) +
                    static_cast<int64_t>(b) * planar_channels() * 16;
      row.bias = lanes;
      row.out = view.at<float>(n, block.block, d, h);
      row.count = view.desc.extent.w;
      row.stream = static_cast<int64_t>(view.desc.bytes()) >= kStreamBytes &&
                   reinterpret_cast<uintptr_t>(row.out) % 64 == 0;
      WM_PICK_ISA(isa_, spread_row)(row);
    }
  }

 private:
  static TensorDesc cut_of(const CorrelationProblem& problem) {
    TensorDesc cut =
        TensorDesc::activation(problem.sources.front().n, 16, problem.sources.front().extent);
    return cut;
  }
};

/// Weights of a planar coarse operand and blocked fine ones.
class HeadWeightGradientKernel final : public WeightGradientKernel {
 public:
  HeadWeightGradientKernel(const WeightGradientProblem& problem, Isa isa, std::string reason)
      : WeightGradientKernel(problem, isa, std::move(reason)) {
    cut(1, static_cast<int64_t>(fine_blocks_.size()), kWantedTasks, {1, 1, 1}, {1, 4, 1});
  }
  [[nodiscard]] std::string name() const override {
    return problem_.pass + "_head_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return Scratch(*this, nullptr).cursor.bytes();
  }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return problem_.is_blocked_fine(input) && !sums_fine();
  }

 private:
  static constexpr int64_t kWantedTasks = 64;

  struct Scratch {
    Scratch(const HeadWeightGradientKernel& kernel, std::byte* base) : cursor(base) {
      sums = cursor.take<float>(kernel.num_sums());
      row = cursor.take<float>(planar_row_floats(kernel.problem_.coarse));
    }
    ScratchCursor cursor;
    float* sums;  ///< [block][channel][16]
    float* row;
  };
  [[nodiscard]] int64_t num_sums() const {
    return static_cast<int64_t>(fine_blocks_.size()) * kHeadChannels * 16;
  }

  void sum_part(const Task& task, const KernelArgs& args) const override {
    clear_weights(task, args);
    clear_bias(task, args);
    const Scratch scratch(*this, args.thread_scratch);
    float* sums = scratch.sums;
    std::fill_n(sums, num_sums(), 0.0F);
    for (int64_t n = 0; n < problem_.coarse.n; ++n) {
      for (int64_t d = task.box.begin.d; d < task.box.end.d; ++d) {
        for (int64_t h = task.box.begin.h; h < task.box.end.h; ++h) {
          sum_row(n, d, h, scratch, args);
        }
        sum_bias(task, n, task.box, d, args);
      }
    }
    for (size_t fine = 0; fine < fine_blocks_.size(); ++fine) {
      float* out = partial(args, task.part, 0, fine);
      for (int64_t c = 0; c < problem_.coarse.c; ++c) {
        for (int64_t lane = 0; lane < 16; ++lane) {
          out[lane * 16 + c] = sums[(static_cast<int64_t>(fine) * kHeadChannels + c) * 16 + lane];
        }
      }
    }
  }

  void sum_row(int64_t n, int64_t d, int64_t h, const Scratch& scratch,
               const KernelArgs& args) const {
    const InputView& coarse = args.inputs[static_cast<size_t>(problem_.coarse_input)];
    const float* factors[kHeadChannels] = {};
    planar_row(coarse, n, d, h, isa_, scratch.row, factors);
    for (size_t fine = 0; fine < fine_blocks_.size(); ++fine) {
      const ChannelBlock& block = fine_blocks_[fine];
      HeadSums row{};
      row.block = head_block(args.inputs[static_cast<size_t>(problem_.first_fine + block.tensor)],
                             block, n, d, h);
      row.channels = static_cast<int32_t>(problem_.coarse.c);
      std::copy_n(factors, problem_.coarse.c, row.factors);
      row.sums = scratch.sums + static_cast<int64_t>(fine) * kHeadChannels * 16;
      row.count = problem_.coarse.extent.w;
      WM_PICK_ISA(isa_, head_sums)(row);
    }
  }
};

constexpr const char* kWanted =
    "takes 1x1x1 kernels between blocked tensors and one of 1 to 4 channels";

}  // namespace

std::string head_refusal(const CorrelationProblem& problem) {
  const auto blocked = [](const std::vector<TensorDesc>& descs) {
    return std::all_of(descs.begin(), descs.end(), is_blocked);
  };
  const bool head = problem.destinations.size() == 1 && is_planar(problem.destinations.front()) &&
                    blocked(problem.sources);
  const bool spread = problem.sources.size() == 1 && is_planar(problem.sources.front()) &&
                      blocked(problem.destinations);
  return problem.weights.dtype == DType::f32 && is_pointwise(problem.conv) && (head || spread)
             ? std::string()
             : kWanted;
}

std::string head_refusal(const WeightGradientProblem& problem) {
  return problem.weights.dtype == DType::f32 && is_pointwise(problem.conv) &&
                 is_planar(problem.coarse) &&
                 std::all_of(problem.fine.begin(), problem.fine.end(), is_blocked)
             ? std::string()
             : kWanted;
}

std::shared_ptr<const Kernel> make_head_correlation(const CorrelationProblem& problem, Isa isa,
                                                    std::string reason) {
  if (is_planar(problem.destinations.front()) && problem.destinations.size() == 1) {
    return std::make_shared<HeadKernel>(problem, isa, std::move(reason));
  }
  return std::make_shared<SpreadKernel>(problem, isa, std::move(reason));
}

std::shared_ptr<const Kernel> make_head_weight_gradient(const WeightGradientProblem& problem,
                                                        Isa isa, std::string reason) {
  return std::make_shared<HeadWeightGradientKernel>(problem, isa, std::move(reason));
}

}  // namespace wholemount
