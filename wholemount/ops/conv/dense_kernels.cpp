#include "wholemount/ops/conv/dense_kernels.h"

#include <algorithm>

#include "wholemount/ops/conv/flat_values.h"
#include "wholemount/ops/conv/inner/dense_rows.h"
#include "wholemount/ops/conv/scratch_cursor.h"

namespace wholemount {

namespace {

constexpr const char* kWanted =
    "takes float32 convolutions whose kernel covers the whole image, without padding";

bool covers(const ConvGeometry& g, const Extent3& image) {
  return g.kernel == image && g.padding == Extent3{0, 0, 0} && g.dilation == Extent3{1, 1, 1};
}

bool takes(const TensorDesc& desc) {
  return desc.n == 0 ||
         (desc.dtype == DType::f32 && (desc.layout == Layout::blocked16 || desc.c <= 4));
}

/// What both directions share.
class DenseCorrelation : public Kernel {
 public:
  DenseCorrelation(CorrelationProblem problem, Isa isa, std::string reason)
      : problem_(std::move(problem)),
        isa_(isa),
        reason_(std::move(reason)),
        sources_(problem_.sources) {
    ScratchCursor shared(nullptr);
    shared.take<float>(checked_multiply(sources_.count(), sources_.samples()));
    shared_bytes_ = shared.bytes();
  }
  [[nodiscard]] std::string name() const override {
    return problem_.pass + "_dense_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override { return shared_bytes_; }
  [[nodiscard]] int num_phases() const override { return 2; }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return problem_.is_blocked_source(input);
  }

  [[nodiscard]] Box3 input_box(int phase, int64_t /*task*/, int input) const override {
    if (input == problem_.weights_input) {
      return phase == 1 ? whole_box(problem_.weights.extent) : Box3{};
    }
    if (input == problem_.bias_input) {
      return phase == 1 ? whole_box({1, 1, problem_.destination_channels()}) : Box3{};
    }
    return phase == 0 ? whole_box(problem_.sources.front().extent) : Box3{};
  }
  [[nodiscard]] Box3 output_box(int phase, int64_t /*task*/, int output) const override {
    const TensorDesc& desc = problem_.destinations[static_cast<size_t>(output)];
    return phase == 0 || desc.n == 0 ? Box3{} : whole_box(desc.extent);
  }

 protected:
  void flatten(int64_t piece, const KernelArgs& args) const {
    auto* flat = reinterpret_cast<float*>(args.shared_scratch) + sources_.piece_begin(piece);
    sources_.write(piece, args.inputs.subspan(static_cast<size_t>(problem_.first_source)), isa_,
                   flat, reinterpret_cast<float*>(args.thread_scratch));
  }
  [[nodiscard]] const float* weights(const KernelArgs& args) const {
    return args.inputs[static_cast<size_t>(problem_.weights_input)].view.at<float>(0, 0);
  }
  [[nodiscard]] const float* bias(const KernelArgs& args) const {
    return problem_.bias_input < 0
               ? nullptr
               : args.inputs[static_cast<size_t>(problem_.bias_input)].view.at<float>(0, 0);
  }

  CorrelationProblem problem_;
  Isa isa_;
  std::string reason_;
  FlatValues sources_;
  size_t shared_bytes_ = 0;
};

/// One output voxel from a whole image: a task is kDenseRows outputs of all samples.
class DenseRowsKernel final : public DenseCorrelation {
 public:
  DenseRowsKernel(CorrelationProblem problem, Isa isa, std::string reason)
      : DenseCorrelation(std::move(problem), isa, std::move(reason)),
        destinations_(channel_blocks(problem_.destinations)) {}

  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(sources_.row_floats()) * sizeof(float);
  }
  [[nodiscard]] int64_t num_tasks(int phase) const override {
    return phase == 0 ? sources_.num_pieces()
                      : static_cast<int64_t>(destinations_.size()) * kRowGroups;
  }

  void run(int phase, int64_t task, const KernelArgs& args) const override {
    if (phase == 0) {
      flatten(task, args);
      return;
    }
    const ChannelBlock& block = destinations_[static_cast<size_t>(task / kRowGroups)];
    const TensorView& view = args.outputs[static_cast<size_t>(block.tensor)].view;
    if (view.origin == nullptr) return;
    const int64_t first = task % kRowGroups * kDenseRows;
    const auto lanes = std::clamp<int64_t>(block.lanes - first, 0, kDenseRows);
    const auto* flat = reinterpret_cast<const float*>(args.shared_scratch);
    const auto compute = WM_PICK_ISA(isa_, dense_dot);
    DenseDot dot{};
    dot.row_pitch = sources_.count();
    dot.weights = weights(args) + (block.channel + first) * dot.row_pitch;
    dot.num_rows = static_cast<int32_t>(lanes);
    dot.count = dot.row_pitch;
    for (int64_t n = 0; n < sources_.samples(); n += kDenseSamples) {
      dot.num_samples =
          static_cast<int32_t>(std::min<int64_t>(kDenseSamples, sources_.samples() - n));
      for (int32_t s = 0; s < dot.num_samples; ++s) {
        dot.values[s] = flat + (n + s) * dot.row_pitch;
      }
      if (lanes > 0) compute(dot);
      for (int32_t s = 0; s < dot.num_samples; ++s) {
        write(block, view, n + s, first, dot, s, bias(args));
      }
    }
  }

 private:
  static constexpr int64_t kRowGroups = 16 / kDenseRows;

  static void write(const ChannelBlock& block, const TensorView& view, int64_t n, int64_t first,
                    const DenseDot& dot, int32_t sample, const float* bias) {
    for (int64_t r = 0; r < kDenseRows; ++r) {
      const int64_t lane = first + r;
      if (lane >= block.lanes) {
        if (!block.plain) view.at<float>(n, block.block)[lane] = 0.0F;
        continue;
      }
      const double start = bias == nullptr ? 0.0 : static_cast<double>(bias[block.channel + lane]);
      float* out = block.plain ? view.at<float>(n, lane) : view.at<float>(n, block.block) + lane;
      *out = static_cast<float>(start + dot.sums[r][sample]);
    }
  }

  std::vector<ChannelBlock> destinations_;
};

/// A whole image from one voxel: a task is some voxels of one channel block, of all samples.
class DenseColumnsKernel final : public DenseCorrelation {
 public:
  DenseColumnsKernel(CorrelationProblem problem, Isa isa, std::string reason)
      : DenseCorrelation(std::move(problem), isa, std::move(reason)),
        destinations_(channel_blocks(problem_.destinations)),
        image_(problem_.conv.kernel),
        voxels_(volume(image_)),
        part_voxels_(std::min(voxels_, kPartVoxels)),
        parts_(divide_up(voxels_, part_voxels_)) {}

  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(std::max(sources_.row_floats(), kDenseSamples * 16 * part_voxels_)) *
           sizeof(float);
  }
  [[nodiscard]] int64_t num_tasks(int phase) const override {
    return phase == 0 ? sources_.num_pieces() : static_cast<int64_t>(destinations_.size()) * parts_;
  }

  void run(int phase, int64_t task, const KernelArgs& args) const override {
    if (phase == 0) {
      flatten(task, args);
      return;
    }
    const ChannelBlock& block = destinations_[static_cast<size_t>(task / parts_)];
    if (args.outputs[static_cast<size_t>(block.tensor)].view.origin == nullptr) return;
    const int64_t first = task % parts_ * part_voxels_;
    const int64_t last = std::min(first + part_voxels_, voxels_);
    for (int64_t n = 0; n < sources_.samples(); n += kDenseSamples) {
      sum_columns(block, first, last, n, args);
    }
  }

 private:
  /// Sums of a task stay in the first cache levels while the rows pass by.
  static constexpr int64_t kPartVoxels = 256;

  void sum_columns(const ChannelBlock& block, int64_t first, int64_t last, int64_t n,
                   const KernelArgs& args) const {
    const int64_t count = last - first;
    auto* sums = reinterpret_cast<float*>(args.thread_scratch);
    const auto* flat = reinterpret_cast<const float*>(args.shared_scratch);
    const auto compute = WM_PICK_ISA(isa_, dense_columns);
    DenseColumns columns{};
    columns.row_pitch = problem_.weights.c * voxels_;
    columns.num_rows = problem_.weights.n;
    columns.num_samples =
        static_cast<int32_t>(std::min<int64_t>(kDenseSamples, sources_.samples() - n));
    for (int32_t s = 0; s < columns.num_samples; ++s) {
      columns.factors[s] = flat + (n + s) * sources_.count();
    }
    // Whole channels lie side by side in a row of the weights; parts of them do not.
    const bool joined = count == voxels_;
    columns.count = joined ? count * block.lanes : count;
    for (int64_t lane = 0; lane < (joined ? 1 : block.lanes); ++lane) {
      columns.weights = weights(args) + (block.channel + lane) * voxels_ + first;
      for (int32_t s = 0; s < columns.num_samples; ++s) {
        columns.sums[s] = sums + s * 16 * part_voxels_ + lane * count;
      }
      compute(columns);
    }
    for (int32_t s = 0; s < columns.num_samples; ++s) {
      write(block, first, last, n + s, sums + s * 16 * part_voxels_, args);
    }
  }

  void write(const ChannelBlock& block, int64_t first, int64_t last, int64_t n, const float* sums,
             const KernelArgs& args) const {
    const TensorView& view = args.outputs[static_cast<size_t>(block.tensor)].view;
    const float* start = bias(args);
    for (int64_t voxel = first; voxel < last; ++voxel) {
      const int64_t d = voxel / (image_.h * image_.w);
      const int64_t h = voxel / image_.w % image_.h;
      const int64_t w = voxel % image_.w;
      for (int64_t lane = 0; lane < (block.plain ? block.lanes : 16); ++lane) {
        float value = 0.0F;
        if (lane < block.lanes) {
          value = sums[lane * (last - first) + voxel - first] +
                  (start == nullptr ? 0.0F : start[block.channel + lane]);
        }
        view.at<float>(n, block.plain ? lane : block.block, d, h, w)[block.plain ? 0 : lane] =
            value;
      }
    }
  }

  std::vector<ChannelBlock> destinations_;
  Extent3 image_;
  int64_t voxels_;
  int64_t part_voxels_;
  int64_t parts_;
};

/// A task is some rows of the weights' gradient; the last one is the bias.
class DenseWeightGradientKernel final : public Kernel {
 public:
  DenseWeightGradientKernel(WeightGradientProblem problem, Isa isa, std::string reason)
      : problem_(std::move(problem)),
        isa_(isa),
        reason_(std::move(reason)),
        coarse_({&problem_.coarse, 1}),
        fine_(problem_.fine),
        rows_per_task_(std::clamp<int64_t>(kTaskFloats / fine_.count(), 1, kMaxTaskRows)) {
    shared_bytes_ = Shared(*this, nullptr).cursor.bytes();
  }
  [[nodiscard]] std::string name() const override {
    return problem_.pass + "_dense_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override { return shared_bytes_; }
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(std::max(coarse_.row_floats(), fine_.row_floats())) * sizeof(float);
  }
  [[nodiscard]] int num_phases() const override { return 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override {
    return phase == 0 ? coarse_.num_pieces() + fine_.num_pieces()
                      : divide_up(problem_.weights.n, rows_per_task_) + 1;
  }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return problem_.is_blocked_coarse(input) || problem_.is_blocked_fine(input);
  }
  [[nodiscard]] Box3 input_box(int phase, int64_t /*task*/, int input) const override {
    if (phase != 0) return {};
    return whole_box(input == problem_.coarse_input ? problem_.coarse.extent
                                                    : problem_.fine.front().extent);
  }
  [[nodiscard]] Box3 output_box(int phase, int64_t /*task*/, int output) const override {
    if (phase == 0) return {};
    if (output == 0) return whole_box(problem_.weights.extent);
    return whole_box({1, 1, problem_.bias_of_fine ? problem_.weights.c : problem_.weights.n});
  }

  void run(int phase, int64_t task, const KernelArgs& args) const override {
    const Shared shared(*this, args.shared_scratch);
    auto* row = reinterpret_cast<float*>(args.thread_scratch);
    if (phase == 0) {
      if (task < coarse_.num_pieces()) {
        const auto inputs = args.inputs.subspan(static_cast<size_t>(problem_.coarse_input));
        coarse_.write(task, inputs, isa_, shared.coarse + coarse_.piece_begin(task), row);
      } else {
        const auto inputs = args.inputs.subspan(static_cast<size_t>(problem_.first_fine));
        const int64_t piece = task - coarse_.num_pieces();
        fine_.write(piece, inputs, isa_, shared.fine + fine_.piece_begin(piece), row);
      }
      return;
    }
    if (task + 1 == num_tasks(1)) {
      sum_bias(shared, args);
    } else {
      multiply_rows(task, shared, args);
    }
  }

 private:
  static constexpr int64_t kTaskFloats = 32768;
  static constexpr int64_t kMaxTaskRows = 64;

  struct Shared {
    Shared(const DenseWeightGradientKernel& kernel, std::byte* base) : cursor(base) {
      coarse =
          cursor.take<float>(checked_multiply(kernel.coarse_.count(), kernel.coarse_.samples()));
      fine = cursor.take<float>(checked_multiply(kernel.fine_.count(), kernel.fine_.samples()));
    }
    ScratchCursor cursor;
    float* coarse;
    float* fine;
  };

  void multiply_rows(int64_t task, const Shared& shared, const KernelArgs& args) const {
    const OutputView& output = args.outputs[0];
    if (output.view.origin == nullptr) return;
    const auto compute = WM_PICK_ISA(isa_, dense_outer_row);
    DenseOuterRow row{};
    row.values = shared.fine;
    row.value_pitch = fine_.count();
    row.factor_pitch = coarse_.count();
    row.num_samples = fine_.samples();
    row.count = fine_.count();
    row.accumulate = output.accumulate;
    const int64_t last = std::min((task + 1) * rows_per_task_, problem_.weights.n);
    for (int64_t r = task * rows_per_task_; r < last; ++r) {
      row.factors = shared.coarse + r;
      row.out = output.view.at<float>(0, 0) + r * row.count;
      compute(row);
    }
  }

  void sum_bias(const Shared& shared, const KernelArgs& args) const {
    if (!problem_.has_bias || args.outputs[1].view.origin == nullptr) return;
    const FlatValues& values = problem_.bias_of_fine ? fine_ : coarse_;
    const float* flat = problem_.bias_of_fine ? shared.fine : shared.coarse;
    auto* bias = args.outputs[1].view.at<float>(0, 0);
    const int64_t channels = values.count() / values.voxels();
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0.0;
      for (int64_t n = 0; n < values.samples(); ++n) {
        const float* channel = flat + n * values.count() + c * values.voxels();
        for (int64_t v = 0; v < values.voxels(); ++v) sum += static_cast<double>(channel[v]);
      }
      const auto value = static_cast<float>(sum);
      bias[c] = args.outputs[1].accumulate ? bias[c] + value : value;
    }
  }

  WeightGradientProblem problem_;
  Isa isa_;
  std::string reason_;
  FlatValues coarse_;
  FlatValues fine_;
  int64_t rows_per_task_;
  size_t shared_bytes_ = 0;
};

}  // namespace

std::string dense_refusal(const CorrelationProblem& problem) {
  // The image is the convolution's input: what is gathered from, or (adjoint) scattered to.
  const CorrelationGeometry& g = problem.geometry;
  const Extent3 image =
      problem.adjoint
          ? Extent3{g.d.destination_extent, g.h.destination_extent, g.w.destination_extent}
          : Extent3{g.d.source_extent, g.h.source_extent, g.w.source_extent};
  const bool fits = problem.weights.dtype == DType::f32 && covers(problem.conv, image) &&
                    std::all_of(problem.sources.begin(), problem.sources.end(), takes) &&
                    std::all_of(problem.destinations.begin(), problem.destinations.end(), takes);
  return fits ? std::string() : kWanted;
}

std::string dense_refusal(const WeightGradientProblem& problem) {
  const bool fits = problem.weights.dtype == DType::f32 &&
                    covers(problem.conv, problem.fine.front().extent) && takes(problem.coarse) &&
                    std::all_of(problem.fine.begin(), problem.fine.end(), takes);
  return fits ? std::string() : kWanted;
}

std::shared_ptr<const Kernel> make_dense_correlation(const CorrelationProblem& problem, Isa isa,
                                                     std::string reason) {
  if (problem.adjoint) {
    return std::make_shared<DenseColumnsKernel>(problem, isa, std::move(reason));
  }
  return std::make_shared<DenseRowsKernel>(problem, isa, std::move(reason));
}

std::shared_ptr<const Kernel> make_dense_weight_gradient(const WeightGradientProblem& problem,
                                                         Isa isa, std::string reason) {
  return std::make_shared<DenseWeightGradientKernel>(problem, isa, std::move(reason));
}

}  // namespace wholemount
