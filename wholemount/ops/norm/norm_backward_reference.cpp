#include "wholemount/ops/norm/norm_backward_reference.h"

#include <cmath>

#include "wholemount/ops/norm/norm_ops.h"
#include "wholemount/ops/norm/norm_tasks.h"
#include "wholemount/tensor/element.h"

namespace wholemount {

namespace {

struct Voxel {
  int64_t d, h, w;
};

template <class Visit>
void for_each_voxel(const Extent3& extent, const Visit& visit) {
  for (int64_t d = 0; d < extent.d; ++d) {
    for (int64_t h = 0; h < extent.h; ++h) {
      for (int64_t w = 0; w < extent.w; ++w) {
        visit(Voxel{d, h, w});
      }
    }
  }
}

double at(const TensorView& view, int64_t c, const Voxel& voxel) {
  return read_element(view, 0, c, voxel.d, voxel.h, voxel.w);
}

double lane(const TensorView& view, int64_t row, int64_t channel) {
  return read_element(view, 0, row, 0, 0, channel);
}

bool is_positive(const KernelArgs& args, int64_t channel, const Voxel& voxel) {
  if (args.decisions.empty()) {
    const TensorView& statistics = args.inputs[2].view;
    return lane(statistics, StatisticsRow::scale, channel) *
                   at(args.inputs[0].view, channel, voxel) +
               lane(statistics, StatisticsRow::shift, channel) >
           0.0;
  }
  const TensorView& statistics = args.decisions[2].view;
  return std::fma(static_cast<float>(at(args.decisions[0].view, channel, voxel)),
                  static_cast<float>(lane(statistics, StatisticsRow::scale, channel)),
                  static_cast<float>(lane(statistics, StatisticsRow::shift, channel))) > 0.0F;
}

// grad_z * (z > 0 ? 1 : slope); 0 when there is no gradient.
double grad_before_activation(const KernelArgs& args, float slope, int64_t channel,
                              const Voxel& voxel) {
  if (args.inputs[1].view.desc.n == 0) {
    return 0.0;
  }
  const double grad = at(args.inputs[1].view, channel, voxel);
  return is_positive(args, channel, voxel) ? grad : grad * static_cast<double>(slope);
}

// One task; needs whole tensors.
class ReferenceKernel : public SingleTaskKernel {
 public:
  ReferenceKernel(const PrepareContext& context, float slope)
      : SingleTaskKernel(context.inputs, context.outputs), slope_(slope) {}
  [[nodiscard]] bool streamable() const override { return false; }

 protected:
  float slope_;
};

class SumsReference final : public ReferenceKernel {
 public:
  using ReferenceKernel::ReferenceKernel;
  [[nodiscard]] std::string name() const override { return "norm_backward_sums_reference"; }
  void run(int /*phase*/, int64_t /*task*/, const KernelArgs& args) const override {
    const TensorDesc& x = input_desc(0);
    const TensorView& statistics = args.inputs[2].view;
    for (int64_t channel = 0; channel < output_desc(0).extent.w; ++channel) {
      double p1 = 0.0;
      double p2 = 0.0;
      if (channel < x.c) {
        const double mean = lane(statistics, StatisticsRow::mean, channel);
        const double rstd = lane(statistics, StatisticsRow::rstd, channel);
        for_each_voxel(x.extent, [&](const Voxel& voxel) {
          const double dz = grad_before_activation(args, slope_, channel, voxel);
          p1 += dz;
          p2 += dz * (at(args.inputs[0].view, channel, voxel) - mean) * rstd;
        });
      }
      write_element(args.outputs[0].view, 0, 0, 0, 0, channel, p1);
      write_element(args.outputs[0].view, 0, 1, 0, 0, channel, p2);
    }
  }
};

class ApplyReference final : public ReferenceKernel {
 public:
  using ReferenceKernel::ReferenceKernel;
  [[nodiscard]] std::string name() const override { return "norm_backward_apply_reference"; }
  void run(int /*phase*/, int64_t /*task*/, const KernelArgs& args) const override {
    const TensorDesc& x = input_desc(0);
    const TensorView& statistics = args.inputs[2].view;
    const TensorView& coefficients = args.inputs[3].view;
    const int64_t stored_channels = x.num_blocks() * x.block_width();
    for (int64_t channel = 0; channel < stored_channels; ++channel) {
      const double mean = lane(statistics, StatisticsRow::mean, channel);
      const double a = lane(coefficients, NormCoefficientRow::a, channel);
      const double b = lane(coefficients, NormCoefficientRow::b, channel);
      const double c = lane(coefficients, NormCoefficientRow::c, channel);
      for_each_voxel(x.extent, [&](const Voxel& voxel) {
        const double dx = channel < x.c
                              ? a * grad_before_activation(args, slope_, channel, voxel) +
                                    (b * (at(args.inputs[0].view, channel, voxel) - mean) + c)
                              : 0.0;
        write_element(args.outputs[0].view, 0, channel, voxel.d, voxel.h, voxel.w, dx);
      });
    }
  }
};

}  // namespace

std::shared_ptr<const Kernel> make_norm_backward_sums_reference(const PrepareContext& context,
                                                                float slope) {
  return std::make_shared<SumsReference>(context, slope);
}

std::shared_ptr<const Kernel> make_norm_backward_apply_reference(const PrepareContext& context,
                                                                 float slope) {
  return std::make_shared<ApplyReference>(context, slope);
}

}  // namespace wholemount
