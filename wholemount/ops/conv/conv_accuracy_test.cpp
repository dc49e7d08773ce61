#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "testing/fill.h"
#include "testing/kernel_run.h"
#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount {
namespace {

/// The weight gradient of a 1 -> 16 convolution on 40^3 voxels by the kernel of `isa`; grad_y is
/// `values` in plain order.
std::vector<std::vector<double>> weight_gradient(Isa isa, const std::vector<double>& x_values,
                                                 const std::vector<double>& values) {
  const TensorDesc x = TensorDesc::activation(1, 1, {40, 40, 40});
  const TensorDesc y = TensorDesc::activation(1, 16, {40, 40, 40});
  const auto op = make_conv_weight_gradient_op(ConvKind::conv, {}, true);
  const std::vector<TensorDesc> inputs{y, x};
  const std::vector<TensorDesc> outputs = op->infer(inputs);
  const auto kernel = op->prepare({inputs, outputs, Target{isa, false}});
  const TestInputs memory(inputs, {InputFill::of(values), InputFill::of(x_values)}, 1);
  TestOutputs results(outputs);
  run_kernel(*kernel, memory.views(), results.views());
  return {to_plain(results.views()[0].view), to_plain(results.views()[1].view)};
}

std::vector<Isa> instruction_sets() {
  std::vector<Isa> sets;
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (isa <= best_isa()) sets.push_back(isa);
  }
  return sets;
}

double norm(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value * value;
  return std::sqrt(sum);
}

// A bias before a norm has a true gradient of zero: grad_y sums to zero in every channel.
TEST(ConvAccuracy, bias_gradient_that_cancels_is_negligible_beside_the_weight_gradient) {
  const TensorDesc x = TensorDesc::activation(1, 1, {40, 40, 40});
  const TensorDesc y = TensorDesc::activation(1, 16, {40, 40, 40});
  std::vector<double> values = fill_values(y, InputFill{}, 3);
  const size_t voxels = 40 * 40 * 40;
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t voxel = i % voxels;
    if (voxel >= voxels / 2) values[i] = -values[i - voxel + (voxels - 1 - voxel)];
  }
  for (const Isa isa : instruction_sets()) {
    const auto gradients = weight_gradient(isa, fill_values(x, InputFill{}, 4), values);
    EXPECT_LE(norm(gradients[1]), 1e-5 * norm(gradients[0])) << isa_name(isa);
  }
}

// One float32 accumulator over 64,000 positive terms would drift by about sqrt(64000) / 2 = 126
// roundings; runs of at most 256 voxels joined in memory by at most 40 x 7 additions of partial
// sums (a slab's), then in float64, stay below sqrt(256) / 2 + sqrt(280) / 2 = 16 roundings of the
// final sum in the root mean square. Four times that is granted to the largest element.
TEST(ConvAccuracy, weight_gradient_of_many_positive_terms_keeps_its_digits) {
  const TensorDesc x = TensorDesc::activation(1, 1, {40, 40, 40});
  const TensorDesc y = TensorDesc::activation(1, 16, {40, 40, 40});
  const std::vector<double> x_values = fill_values(x, InputFill::uniform(0.5, 1.5), 5);
  const std::vector<double> values = fill_values(y, InputFill::uniform(0.5, 1.5), 6);
  constexpr int64_t kSide = 40;
  // The centre tap of each channel: sum over voxels of grad_y * x.
  std::vector<double> wanted(16, 0.0);
  for (size_t c = 0; c < 16; ++c) {
    for (size_t v = 0; v < kSide * kSide * kSide; ++v) {
      wanted[c] += values[c * kSide * kSide * kSide + v] * x_values[v];
    }
  }
  for (const Isa isa : instruction_sets()) {
    const auto gradients = weight_gradient(isa, x_values, values);
    for (size_t c = 0; c < 16; ++c) {
      EXPECT_NEAR(gradients[0][c * 27 + 13], wanted[c], 64 * 6e-8 * wanted[c]) << isa_name(isa);
    }
  }
}

}  // namespace
}  // namespace wholemount
