#include <algorithm>
#include <vector>

#include "wholemount/graph/graph.h"
#include "wholemount/ops/loss/segmentation_lanes.h"
#include "wholemount/ops/loss/segmentation_ops.h"
#include "wholemount/ops/loss/segmentation_reference.h"
#include "wholemount/ops/loss/segmentation_segments.h"
#include "wholemount/tensor/target.h"

namespace wholemount {

namespace {

static_assert(kSegmentationIgnoreTarget == kIgnoreTarget);

// Phase 0: sums of each slab. Phase 1: one task adds them in order.
class SumsKernel final : public Kernel {
 public:
  SumsKernel(const PrepareContext& context, const SegmentationSample& sample)
      : logits_(context.inputs[0]),
        outputs_(context.outputs.begin(), context.outputs.end()),
        sample_(sample),
        isa_(context.target.isa),
        sum_(WM_PICK_ISA(context.target.isa, segmentation_sums_run)),
        slabs_(logits_.extent, segmentation_task_voxels(logits_.c)),
        lanes_(segmentation_partial_lanes(logits_.c)) {}

  [[nodiscard]] std::string name() const override {
    return "segmentation_sums_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] int64_t flops() const override { return 40 * logits_.num_elements(); }
  [[nodiscard]] int64_t traffic_bytes() const override {
    return static_cast<int64_t>(logits_.bytes()) + volume(logits_.extent);
  }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return static_cast<size_t>(slabs_.num_slabs() * (lanes_ / 16)) * sizeof(double);
  }
  // Sixteen-lane sums in double and in float, and the work space of the inner loop.
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(lanes_) * (sizeof(double) + sizeof(float)) +
           static_cast<size_t>(segmentation_sums_work_floats(logits_.c, logits_.block_width())) *
               sizeof(float);
  }
  [[nodiscard]] int num_phases() const override { return 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override {
    return phase == 0 ? slabs_.num_slabs() : 1;
  }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int /*input*/) const override {
    return phase == 0 ? slabs_.box(task) : Box3{};
  }
  [[nodiscard]] Box3 output_box(int phase, int64_t /*task*/, int output) const override {
    return phase == 1 ? whole_box(outputs_[static_cast<size_t>(output)].extent) : Box3{};
  }
  void run(int phase, int64_t task, const KernelArgs& args) const override {
    if (phase == 0) {
      run_slab(task, args);
    } else {
      fold(args);
    }
  }

 private:
  [[nodiscard]] double* partial(int64_t task, const KernelArgs& args) const {
    return reinterpret_cast<double*>(args.shared_scratch) + task * (lanes_ / 16);
  }

  void run_slab(int64_t task, const KernelArgs& args) const {
    auto* lanes = reinterpret_cast<double*>(args.thread_scratch);
    auto* few = reinterpret_cast<float*>(lanes + lanes_);
    std::fill_n(lanes, lanes_, 0.0);
    std::fill_n(few, lanes_, 0.0F);
    const TensorView& logits = args.inputs[0].view;
    SegmentationSumsRun sums{{nullptr, logits.block_pitch, logits_.block_width(), logits_.c,
                              nullptr, 0, sample_.target == TargetKind::classes, few + lanes_,
                              truth_scale(sample_), truth_floor(sample_, logits_.c)},
                             few,
                             sample_.entropy};
    constexpr int64_t kMaxGroups = 256;  // 4,096 voxels
    int64_t groups = 0;
    const auto flush = [&] {
      for (int64_t i = 0; i < lanes_; ++i) {
        lanes[i] += static_cast<double>(few[i]);
        few[i] = 0.0F;
      }
      groups = 0;
    };
    for_each_segment(slabs_.box(task), [&](int64_t d, int64_t h, int64_t w, int64_t count) {
      if (groups + divide_up(count, 16) > kMaxGroups) {
        flush();
      }
      groups += divide_up(count, 16);
      sums.run.logits = logits.at<float>(0, 0, d, h, w);
      sums.run.target = args.inputs[1].view.at<uint8_t>(0, 0, d, h, w);
      sums.run.num_voxels = count;
      sum_(sums);
    });
    flush();
    double* result = partial(task, args);
    for (int64_t row = 0; row < lanes_ / 16; ++row) {
      result[row] = 0.0;
      for (int64_t lane = 0; lane < 16; ++lane) {
        result[row] += lanes[16 * row + lane];
      }
    }
  }

  void fold(const KernelArgs& args) const {
    double* total = partial(0, args);
    for (int64_t task = 1; task < slabs_.num_slabs(); ++task) {
      const double* part = partial(task, args);
      for (int64_t row = 0; row < lanes_ / 16; ++row) {
        total[row] += part[row];
      }
    }
    using Partial = SegmentationPartialRow;
    const double voxels = total[logits_.c * Partial::kNumRows];
    const auto write = [&](size_t output, int64_t row, int64_t channel, double value) {
      if (args.outputs[output].view.origin != nullptr) {
        args.outputs[output].view.at<double>(0, row)[channel] = value;
      }
    };
    for (int64_t c = 0; c < logits_.c; ++c) {
      const double* rows = total + c * Partial::kNumRows;
      write(0, SegmentationSumRow::intersection, c, rows[Partial::intersection]);
      write(0, SegmentationSumRow::predicted, c, rows[Partial::predicted]);
      write(0, SegmentationSumRow::truth, c, rows[Partial::truth]);
      write(0, SegmentationSumRow::entropy, c, rows[Partial::entropy]);
      write(0, SegmentationSumRow::voxels, c, voxels);
      write(1, SegmentationCountRow::intersection, c, rows[Partial::hard_intersection]);
      write(1, SegmentationCountRow::predicted, c, rows[Partial::hard_predicted]);
      write(1, SegmentationCountRow::truth, c, rows[Partial::truth]);
      write(1, SegmentationCountRow::voxels, c, voxels);
    }
  }

  TensorDesc logits_;
  std::vector<TensorDesc> outputs_;
  SegmentationSample sample_;
  Isa isa_;
  void (*sum_)(const SegmentationSumsRun&);
  SlabCut slabs_;
  int64_t lanes_;
};

class SegmentationSumsOp final : public Op {
 public:
  explicit SegmentationSumsOp(const SegmentationSample& sample) : sample_(sample) {}
  [[nodiscard]] std::string name() const override { return "segmentation_sums"; }
  [[nodiscard]] std::string attributes() const override {
    return sample_.target == TargetKind::regions ? "regions" : "classes";
  }
  [[nodiscard]] const SegmentationSample& sample() const { return sample_; }

  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_segmentation_inputs(inputs[0], inputs[1], sample_, "segmentation_sums");
    const Extent3 row{1, 1, inputs[0].c};
    return {TensorDesc::plain(1, SegmentationSumRow::kNumRows, row, DType::f64),
            TensorDesc::plain(1, SegmentationCountRow::kNumRows, row, DType::f64)};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& /*output_box*/,
                                  std::span<const TensorDesc> inputs) const override {
    return whole_box(inputs[static_cast<size_t>(input)].extent);
  }
  // The gradient of the logits is taken by the loss, which knows the coefficients.
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.target.reference || context.inputs[0].dtype == DType::f64) {
      return make_segmentation_sums_reference(context, sample_);
    }
    return std::make_shared<SumsKernel>(context, sample_);
  }

 private:
  SegmentationSample sample_;
};

}  // namespace

void check_segmentation_inputs(const TensorDesc& logits, const TensorDesc& target,
                               const SegmentationSample& sample, const char* op) {
  const std::string where(op);
  if (logits.n != 1 || (logits.dtype != DType::f32 && logits.dtype != DType::f64)) {
    throw ShapeError(where + ": logits are " + to_string(logits) +
                     ", wanted one sample (n = 1) of f32 or f64");
  }
  const int64_t least = sample.target == TargetKind::regions ? 1 : 2;
  const int64_t most = sample.target == TargetKind::regions ? 7 : 255;
  if (logits.c < least || logits.c > most) {
    throw ShapeError(where + ": logits have " + std::to_string(logits.c) + " channels, wanted " +
                     std::to_string(least) + " to " + std::to_string(most) +
                     (least == 1 ? " regions" : " classes"));
  }
  const TensorDesc wanted = TensorDesc::plain(1, 1, logits.extent, DType::u8);
  if (target != wanted) {
    throw ShapeError(where + ": target is " + to_string(target) + ", wanted " + to_string(wanted));
  }
}

const SegmentationSample* segmentation_sample(const Op& op) {
  const auto* sums = dynamic_cast<const SegmentationSumsOp*>(&op);
  return sums == nullptr ? nullptr : &sums->sample();
}

std::shared_ptr<const Op> make_segmentation_sums_op(const SegmentationSample& sample) {
  return std::make_shared<SegmentationSumsOp>(sample);
}

}  // namespace wholemount
