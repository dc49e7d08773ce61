#include "wholemount/ops/loss/segmentation_reference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "wholemount/tensor/element.h"
#include "wholemount/tensor/target.h"

namespace wholemount {

namespace {

constexpr size_t kMaxChannels = 256;  // 255 classes in whole channel blocks

// One voxel at a time of the logits and the target.
class VoxelReader {
 public:
  VoxelReader(const KernelArgs& args, const SegmentationSample& sample)
      : logits_(args.inputs[0].view),
        target_(args.inputs[1].view),
        kind_(sample.target),
        smoothing_(sample.label_smoothing) {}

  void move_to(int64_t d, int64_t h, int64_t w) {
    d_ = d;
    h_ = h;
    w_ = w;
    label_ = static_cast<int64_t>(read_element(target_, 0, 0, d, h, w));
    if (kind_ == TargetKind::classes) {
      largest_ = -std::numeric_limits<double>::infinity();
      for (int64_t c = 0; c < channels(); ++c) {
        largest_ = std::max(largest_, logit(c));
      }
      total_ = 0.0;
      for (int64_t c = 0; c < channels(); ++c) {
        total_ += std::exp(logit(c) - largest_);
      }
    }
  }
  [[nodiscard]] int64_t channels() const { return logits_.desc.c; }
  // Whether the voxel is not to be ignored.
  [[nodiscard]] bool counts() const {
    return kind_ == TargetKind::regions ? label_ != kIgnoreTarget : label_ < channels();
  }
  [[nodiscard]] double logit(int64_t c) const { return read_element(logits_, 0, c, d_, h_, w_); }
  [[nodiscard]] double truth(int64_t c) const {
    const bool is_true = kind_ == TargetKind::regions ? ((label_ >> c) & 1) != 0 : label_ == c;
    return is_true ? 1.0 : 0.0;
  }
  // The truth of the entropy.
  [[nodiscard]] double smoothed(int64_t c) const {
    return kind_ == TargetKind::regions
               ? truth(c)
               : (1.0 - smoothing_) * truth(c) + smoothing_ / static_cast<double>(channels());
  }
  [[nodiscard]] double probability(int64_t c) const {
    return kind_ == TargetKind::regions ? 1.0 / (1.0 + std::exp(-logit(c)))
                                        : std::exp(logit(c) - largest_) / total_;
  }
  [[nodiscard]] double entropy(int64_t c) const {
    const double x = logit(c);
    return kind_ == TargetKind::regions
               ? std::max(x, 0.0) - x * truth(c) + std::log1p(std::exp(-std::abs(x)))
               : smoothed(c) * (std::log(total_) + largest_ - x);
  }
  // Whether `deciding` (the logits or their twin) puts this voxel into channel c.
  [[nodiscard]] bool decided(const TensorView& deciding, int64_t c) const {
    const auto at = [&](int64_t k) { return read_element(deciding, 0, k, d_, h_, w_); };
    if (kind_ == TargetKind::regions) {
      return at(c) > 0.0;
    }
    for (int64_t k = 0; k < channels(); ++k) {
      if (at(k) > at(c) || (k < c && at(k) == at(c))) {
        return false;
      }
    }
    return true;
  }

 private:
  TensorView logits_;
  TensorView target_;
  TargetKind kind_;
  double smoothing_;
  int64_t d_ = 0;
  int64_t h_ = 0;
  int64_t w_ = 0;
  int64_t label_ = 0;
  double largest_ = 0.0;
  double total_ = 0.0;
};

// One task; needs whole tensors.
class ReferenceKernel : public Kernel {
 public:
  ReferenceKernel(const PrepareContext& context, const SegmentationSample& sample)
      : inputs_(context.inputs.begin(), context.inputs.end()),
        outputs_(context.outputs.begin(), context.outputs.end()),
        sample_(sample) {}
  [[nodiscard]] int64_t flops() const override { return inputs_[0].num_elements(); }
  [[nodiscard]] int64_t traffic_bytes() const override {
    return static_cast<int64_t>(inputs_[0].bytes());
  }
  [[nodiscard]] int64_t num_tasks(int /*phase*/) const override { return 1; }
  [[nodiscard]] bool streamable() const override { return false; }
  [[nodiscard]] Box3 input_box(int /*phase*/, int64_t /*task*/, int input) const override {
    return whole_box(inputs_[static_cast<size_t>(input)].extent);
  }
  [[nodiscard]] Box3 output_box(int /*phase*/, int64_t /*task*/, int output) const override {
    return whole_box(outputs_[static_cast<size_t>(output)].extent);
  }

 protected:
  template <class Visit>
  void for_each_voxel(const Visit& visit) const {
    const Extent3& extent = inputs_[0].extent;
    for (int64_t d = 0; d < extent.d; ++d) {
      for (int64_t h = 0; h < extent.h; ++h) {
        for (int64_t w = 0; w < extent.w; ++w) {
          visit(d, h, w);
        }
      }
    }
  }
  std::vector<TensorDesc> inputs_;
  std::vector<TensorDesc> outputs_;
  SegmentationSample sample_;
};

class SumsReference final : public ReferenceKernel {
 public:
  using ReferenceKernel::ReferenceKernel;
  [[nodiscard]] std::string name() const override { return "segmentation_sums_reference"; }
  void run(int /*phase*/, int64_t /*task*/, const KernelArgs& args) const override {
    const TensorView& deciding =
        args.decisions.empty() ? args.inputs[0].view : args.decisions[0].view;
    VoxelReader voxel(args, sample_);
    for (int64_t c = 0; c < voxel.channels(); ++c) {
      double sums[SegmentationSumRow::kNumRows] = {};
      double counts[SegmentationCountRow::kNumRows] = {};
      for_each_voxel([&](int64_t d, int64_t h, int64_t w) {
        voxel.move_to(d, h, w);
        if (!voxel.counts()) {
          return;
        }
        const double t = voxel.truth(c);
        const double decided = voxel.decided(deciding, c) ? 1.0 : 0.0;
        sums[SegmentationSumRow::intersection] += voxel.probability(c) * t;
        sums[SegmentationSumRow::predicted] += voxel.probability(c);
        sums[SegmentationSumRow::truth] += t;
        sums[SegmentationSumRow::entropy] += sample_.entropy ? voxel.entropy(c) : 0.0;
        sums[SegmentationSumRow::voxels] += 1.0;
        counts[SegmentationCountRow::intersection] += decided * t;
        counts[SegmentationCountRow::predicted] += decided;
        counts[SegmentationCountRow::truth] += t;
        counts[SegmentationCountRow::voxels] += 1.0;
      });
      write_rows(args.outputs[0].view, c, sums);
      write_rows(args.outputs[1].view, c, counts);
    }
  }

 private:
  static void write_rows(const TensorView& view, int64_t channel, const double* rows) {
    for (int64_t row = 0; view.origin != nullptr && row < view.desc.c; ++row) {
      write_element(view, 0, row, 0, 0, channel, rows[row]);
    }
  }
};

class BackwardReference final : public ReferenceKernel {
 public:
  using ReferenceKernel::ReferenceKernel;
  [[nodiscard]] std::string name() const override { return "segmentation_backward_reference"; }
  void run(int /*phase*/, int64_t /*task*/, const KernelArgs& args) const override {
    VoxelReader voxel(args, sample_);
    const TensorView& out = args.outputs[0].view;
    const int64_t stored_channels = out.desc.num_blocks() * out.desc.block_width();
    for_each_voxel([&](int64_t d, int64_t h, int64_t w) {
      voxel.move_to(d, h, w);
      // The gradient may overwrite the logits, so all channels are read first.
      std::array<double, kMaxChannels> gradients{};
      for (int64_t c = 0; voxel.counts() && c < voxel.channels(); ++c) {
        gradients[static_cast<size_t>(c)] = gradient(voxel, args.inputs[2].view, c);
      }
      for (int64_t c = 0; c < stored_channels; ++c) {
        write_element(out, 0, c, d, h, w, gradients[static_cast<size_t>(c)]);
      }
    });
  }

 private:
  [[nodiscard]] double gradient(const VoxelReader& voxel, const TensorView& coefficients,
                                int64_t c) const {
    const auto row = [&](int64_t index, int64_t channel) {
      return read_element(coefficients, 0, index, 0, 0, channel);
    };
    const auto slope = [&](int64_t k) {
      return row(SegmentationCoefficientRow::a, k) * voxel.truth(k) +
             row(SegmentationCoefficientRow::b, k);
    };
    const double p = voxel.probability(c);
    const double voxel_term = row(SegmentationCoefficientRow::e, c) * (p - voxel.smoothed(c));
    if (sample_.target == TargetKind::regions) {
      return slope(c) * p * (1.0 - p) + voxel_term;
    }
    double mean = 0.0;
    for (int64_t k = 0; k < voxel.channels(); ++k) {
      mean += voxel.probability(k) * slope(k);
    }
    return p * (slope(c) - mean) + voxel_term;
  }
};

}  // namespace

std::shared_ptr<const Kernel> make_segmentation_sums_reference(const PrepareContext& context,
                                                               const SegmentationSample& sample) {
  return std::make_shared<SumsReference>(context, sample);
}

std::shared_ptr<const Kernel> make_segmentation_backward_reference(
    const PrepareContext& context, const SegmentationSample& sample) {
  return std::make_shared<BackwardReference>(context, sample);
}

}  // namespace wholemount
