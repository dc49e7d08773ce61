#pragma once

#include <string>

#include "wholemount/ops/conv/inner/weight_gradient_run.h"
#include "wholemount/ops/conv/patch_geometry.h"
#include "wholemount/ops/conv/weight_gradient_kernel.h"

namespace wholemount {

/// The weight gradient of convolutions whose kernel equals their stride (1x1x1, 2x2x2 of stride 2)
/// as a matrix product over voxels: a task packs short chunks of both operands and sums them in
/// register tiles of kernel positions x fine lanes x coarse channels. Thread scratch: one chunk of
/// a panel's blocks.
class GemmWeightGradientKernel : public WeightGradientKernel {
 public:
  GemmWeightGradientKernel(WeightGradientProblem problem, Isa isa, std::string reason);

  /// Why this kernel cannot do the problem; empty when it can.
  [[nodiscard]] static std::string refusal(const WeightGradientProblem& problem);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return (problem_.is_blocked_coarse(input) && !sums_coarse()) ||
           (problem_.is_blocked_fine(input) && !sums_fine() && !rows_in_place_);
  }

  /// Voxels summed in registers before the sums go to memory: three kernel positions and two coarse
  /// blocks of them fit a first-level cache.
  static constexpr int64_t kChunkVoxels = 112;

 private:
  struct Scratch;

  void sum_part(const Task& task, const KernelArgs& args) const override;
  /// The flat voxels [first, last) of some rows, summed in one go.
  struct Chunk {
    CoarseRows rows;
    int64_t first = 0;
    int64_t last = 0;
    bool in_place = false;  ///< whole rows, or part of one, read where they lie
  };
  void sum_chunk(const Task& task, int64_t n, const Chunk& chunk, const Scratch& scratch,
                 const KernelArgs& args) const;
  /// What the chunk after one of rows read where they lie will read of the same plane.
  [[nodiscard]] LinesAhead lines_ahead(const Task& task, int64_t n, const Chunk& chunk,
                                       const Scratch& scratch, const KernelArgs& args) const;
  void pack_fine(const ChannelBlock& block, int64_t n, const Chunk& chunk, const Scratch& scratch,
                 const KernelArgs& args, WeightGradientRun& run) const;
  void point_to_row(const ChannelBlock& block, int64_t n, const Chunk& chunk,
                    const Scratch& scratch, const KernelArgs& args, WeightGradientRun& run) const;

  int64_t chunk_voxels_ = 1;
  bool rows_in_place_ = false;  ///< unless a fine operand carries a LoadTransform
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
