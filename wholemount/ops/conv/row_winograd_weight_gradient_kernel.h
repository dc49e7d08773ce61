#pragma once

#include <string>

#include "wholemount/ops/conv/row_winograd_source.h"
#include "wholemount/ops/conv/weight_gradient_kernel.h"

namespace wholemount {

/// The weight gradient of a convolution of a planar image by Winograd along w:
///   dg = G^T sum over tiles of (A dy) * (B^T x)
/// A task works four rows at a time: it transforms the new source rows of a strip, which stay in
/// the L2 cache, and walks along it some tiles wide, transforms the other operand in L1, and sums
/// the products at all points into thread scratch; at the end it transforms the sums to the taps of
/// its partial result. Thread scratch: about half a MiB for the strip (RowWinogradSource), tens of
/// KiB, and points / taps times the weights.
class RowWinogradWeightGradientKernel : public WeightGradientKernel {
 public:
  RowWinogradWeightGradientKernel(WeightGradientProblem problem, const RowTileShape& shape, Isa isa,
                                  std::string reason);

  /// Why this kernel cannot do the problem; empty when it can.
  [[nodiscard]] static std::string refusal(const WeightGradientProblem& problem);
  [[nodiscard]] static std::optional<RowTileShape> tile(const WeightGradientProblem& problem,
                                                        Convolution asked);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }

 private:
  struct Scratch;

  void sum_part(const Task& task, const KernelArgs& args) const override;
  /// kRowsTogether rows from `row` of the box on and tiles from `tile` of the strip on, of one
  /// coarse block.
  void sum_rows(const Task& task, const RowWinogradSource::Load& load, int64_t d, int64_t row,
                int64_t tile, size_t block, const Scratch& scratch, const KernelArgs& args) const;
  void transform_sums(const Task& task, const Scratch& scratch, const KernelArgs& args) const;

  RowTileShape shape_;
  int64_t channels_;        ///< of the fine operand
  int64_t point_sums_ = 0;  ///< floats of a coarse block at a point
  RowWinogradSource source_;
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
