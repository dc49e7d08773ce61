#pragma once

#include <string>

#include "wholemount/ops/conv/weight_gradient_kernel.h"
#include "wholemount/ops/conv/winograd_shape.h"

namespace wholemount {

/// Winograd weight gradient:
///   dg = G^T ((A dy A^T) * (B^T x B)) G, products summed over tiles between the transforms.
/// A task transforms the tiles of its part block of tiles by block of tiles and sums the products
/// of its panel frequency by frequency: in registers over a block, then in thread scratch, which is
/// transformed to the taps of its partial result at the end. Thread scratch: about kBlockBytes, and
/// at most kSumBytes for the sums.
class WinogradWeightGradientKernel : public WeightGradientKernel {
 public:
  WinogradWeightGradientKernel(WeightGradientProblem problem, WinogradTile tile, Isa isa,
                               std::string reason);

  /// Why Winograd is not defined for the problem; empty when it is.
  [[nodiscard]] static std::string refusal(const WeightGradientProblem& problem);
  [[nodiscard]] static WinogradWork work(const WeightGradientProblem& problem);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }

  /// Both operands' transformed tiles of a block, and the sums of a panel at all frequencies: all
  /// of them fit a core's L2 cache.
  static constexpr int64_t kBlockBytes = int64_t{800} << 10;
  static constexpr int64_t kSumBytes = int64_t{1} << 20;

 private:
  struct Scratch;
  /// Neighbouring tiles of one row of tiles.
  struct Run {
    Extent3 tile;          ///< the first one, counted over the tensor
    int64_t position = 0;  ///< of the first one in the block
    int64_t count = 0;
  };

  void choose_panels();
  void transform_fine(const Task& task, int64_t n, const Run& run, const Scratch& scratch,
                      const KernelArgs& args) const;
  void transform_coarse(const Task& task, int64_t n, const Run& run, const Scratch& scratch,
                        const KernelArgs& args) const;
  void multiply(const Task& task, int64_t num_tiles, bool add, const Scratch& scratch) const;
  void transform_sums(const Task& task, const Scratch& scratch, const KernelArgs& args) const;
  void sum_part(const Task& task, const KernelArgs& args) const override;

  WinogradShape shape_;
  Extent3 tiles_;             ///< along each axis
  int64_t block_tiles_ = 1;   ///< tiles multiplied together
  int64_t fine_pitch_ = 0;    ///< floats from a frequency to the next
  int64_t coarse_pitch_ = 0;  ///< likewise
  int64_t sums_pitch_ = 0;    ///< likewise
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
