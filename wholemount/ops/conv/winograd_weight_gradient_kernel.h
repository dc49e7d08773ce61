#pragma once

#include <span>
#include <string>

#include "wholemount/ops/conv/weight_gradient_kernel.h"
#include "wholemount/ops/conv/winograd_runs.h"

namespace wholemount {

/// Winograd weight gradient:
///   dg = G^T ((A dy A^T) * (B^T x B)) G, products summed over tiles between the transforms.
/// A task takes the tiles of its part block of tiles by block of tiles. It transforms the columns
/// of both operands along d and h; then, for each pair of frequencies along d and h, it transforms
/// along w in L1 and sums the products of its panel: in registers over a block, then in thread
/// scratch, which is transformed to the taps of its partial result at the end. Thread scratch:
/// about kBlockBytes, and at most kSumBytes for the sums.
class WinogradWeightGradientKernel : public WeightGradientKernel {
 public:
  WinogradWeightGradientKernel(WeightGradientProblem problem, WinogradTile tile, Isa isa,
                               std::string reason);

  /// Why Winograd is not defined for the problem; empty when it is.
  [[nodiscard]] static std::string refusal(const WeightGradientProblem& problem);
  [[nodiscard]] static WinogradWork work(const WeightGradientProblem& problem);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return problem_.is_blocked_fine(input) && !sums_fine();
  }

  /// Both operands' transformed columns of a block, and the sums of a panel at all frequencies:
  /// well within a core's L2 cache, where the voxels that neighbouring tiles share should stay too.
  static constexpr int64_t kBlockBytes = int64_t{260} << 10;
  /// Both operands of a block at the frequencies along w, to fit a core's L1 cache.
  static constexpr int64_t kAxisBytes = int64_t{36} << 10;
  static constexpr int64_t kSumBytes = int64_t{1} << 20;

 private:
  struct Scratch;

  void choose_panels();
  void transform_fine(const Task& task, int64_t n, std::span<const WinogradRun> runs,
                      const Scratch& scratch, const KernelArgs& args) const;
  void transform_coarse(const Task& task, int64_t n, std::span<const WinogradRun> runs,
                        const Scratch& scratch, const KernelArgs& args) const;
  /// The products of the (d, h) frequency pair `row`.
  void multiply(const Task& task, std::span<const WinogradRun> runs, int64_t row, bool add,
                const Scratch& scratch) const;
  void transform_sums(const Task& task, const Scratch& scratch, const KernelArgs& args) const;
  void sum_part(const Task& task, const KernelArgs& args) const override;

  WinogradShape shape_;
  Extent3 tiles_;  ///< along each axis
  WinogradBlocks blocks_;
  int64_t block_columns_ = 0;         ///< of a fine block, at most
  int64_t fine_columns_pitch_ = 0;    ///< floats from a frequency pair's columns to the next one's
  int64_t coarse_columns_pitch_ = 0;  ///< likewise
  int64_t fine_pitch_ = 0;            ///< floats from a frequency along w to the next
  int64_t coarse_pitch_ = 0;          ///< likewise
  int64_t sums_pitch_ = 0;            ///< floats from a frequency to the next
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
