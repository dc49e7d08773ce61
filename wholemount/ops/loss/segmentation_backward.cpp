#include "wholemount/ops/loss/segmentation_lanes.h"
#include "wholemount/ops/loss/segmentation_ops.h"
#include "wholemount/ops/loss/segmentation_reference.h"
#include "wholemount/ops/loss/segmentation_segments.h"

namespace wholemount {

namespace {

class BackwardKernel final : public Kernel {
 public:
  BackwardKernel(const PrepareContext& context, const SegmentationSample& sample)
      : logits_(context.inputs[0]),
        coefficients_(context.inputs[2]),
        sample_(sample),
        isa_(context.target.isa),
        gradient_(WM_PICK_ISA(context.target.isa, segmentation_gradient_run)),
        slabs_(logits_.extent, segmentation_task_voxels(logits_.c)) {}

  [[nodiscard]] std::string name() const override {
    return "segmentation_backward_" + std::string(isa_name(isa_));
  }
  [[nodiscard]] int64_t flops() const override { return 40 * logits_.num_elements(); }
  [[nodiscard]] int64_t traffic_bytes() const override {
    return static_cast<int64_t>(2 * logits_.bytes()) + volume(logits_.extent);
  }
  // Coefficients in float, and the work space of the inner loop.
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return static_cast<size_t>(2 * round_up(logits_.c, 16) +
                               segmentation_gradient_work_floats(logits_.c)) *
           sizeof(float);
  }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return slabs_.num_slabs(); }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t task, int input) const override {
    return input == 2 ? whole_box(coefficients_.extent) : slabs_.box(task);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t task, int /*output*/) const override {
    return slabs_.box(task);
  }

  void run(int /*phase*/, int64_t task, const KernelArgs& args) const override {
    auto* a = reinterpret_cast<float*>(args.thread_scratch);
    float* b = a + round_up(logits_.c, 16);
    const TensorView& coefficients = args.inputs[2].view;
    using Row = SegmentationCoefficientRow;
    for (int64_t c = 0; c < logits_.c; ++c) {
      a[c] = static_cast<float>(coefficients.at<double>(0, Row::a)[c]);
      b[c] = static_cast<float>(coefficients.at<double>(0, Row::b)[c]);
    }
    const TensorView& logits = args.inputs[0].view;
    const TensorView& out = args.outputs[0].view;
    SegmentationGradientRun gradient{
        {nullptr, logits.block_pitch, logits_.block_width(), logits_.c, nullptr, 0,
         sample_.target == TargetKind::classes, b + round_up(logits_.c, 16), truth_scale(sample_),
         truth_floor(sample_, logits_.c)},
        nullptr,
        out.block_pitch,
        a,
        b,
        static_cast<float>(coefficients.at<double>(0, Row::e)[0])};
    for_each_segment(slabs_.box(task), [&](int64_t d, int64_t h, int64_t w, int64_t count) {
      gradient.run.logits = logits.at<float>(0, 0, d, h, w);
      gradient.run.target = args.inputs[1].view.at<uint8_t>(0, 0, d, h, w);
      gradient.run.num_voxels = count;
      gradient.out = out.at<float>(0, 0, d, h, w);
      gradient_(gradient);
    });
  }

 private:
  TensorDesc logits_;
  TensorDesc coefficients_;
  SegmentationSample sample_;
  Isa isa_;
  void (*gradient_)(const SegmentationGradientRun&);
  SlabCut slabs_;
};

class SegmentationBackwardOp final : public Op {
 public:
  explicit SegmentationBackwardOp(const SegmentationSample& sample) : sample_(sample) {}
  [[nodiscard]] std::string name() const override { return "segmentation_loss_backward"; }
  [[nodiscard]] std::string attributes() const override {
    return sample_.target == TargetKind::regions ? "regions" : "classes";
  }
  [[nodiscard]] std::vector<TensorDesc> infer(std::span<const TensorDesc> inputs) const override {
    check_segmentation_inputs(inputs[0], inputs[1], sample_, "segmentation_loss_backward");
    const TensorDesc wanted =
        TensorDesc::plain(1, SegmentationCoefficientRow::kNumRows, {1, 1, inputs[0].c}, DType::f64);
    if (inputs[2] != wanted) {
      throw ShapeError("segmentation_loss_backward: coefficients are " + to_string(inputs[2]) +
                       ", wanted " + to_string(wanted));
    }
    return {inputs[0]};
  }
  [[nodiscard]] Box3 input_region(int input, const Box3& output_box,
                                  std::span<const TensorDesc> inputs) const override {
    return input == 2 ? whole_box(inputs[2].extent) : output_box;
  }
  // Every kernel reads all channels of a voxel before it writes them.
  [[nodiscard]] bool may_overwrite(int input, int /*output*/) const override { return input == 0; }
  [[nodiscard]] std::shared_ptr<const Kernel> prepare(
      const PrepareContext& context) const override {
    if (context.target.reference || context.inputs[0].dtype == DType::f64) {
      return make_segmentation_backward_reference(context, sample_);
    }
    return std::make_shared<BackwardKernel>(context, sample_);
  }

 private:
  SegmentationSample sample_;
};

}  // namespace

std::shared_ptr<const Op> make_segmentation_backward_op(const SegmentationSample& sample) {
  return std::make_shared<SegmentationBackwardOp>(sample);
}

}  // namespace wholemount
