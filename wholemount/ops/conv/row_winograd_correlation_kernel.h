#pragma once

#include <string>
#include <vector>

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/row_winograd_source.h"

namespace wholemount {

/// Convolution from a planar image by Winograd along w: few source channels leave so little to sum
/// that transforms along more axes would cost more than they save. Phase 0 transforms the weights
/// into shared scratch; a task of phase 1 takes a band of rows and works four rows at a time: it
/// transforms the new source rows of a strip, which stay in the L2 cache, and walks along it some
/// tiles wide, sums products at all points in registers, and transforms back, in L1, where the
/// moments are summed that phase 2 joins. Shared scratch: the weights times points / taps. Thread
/// scratch: about half a MiB for the strip (RowWinogradSource) and tens of KiB; with several taps
/// along d these, and the rows of a band, of six tiles.
class RowWinogradCorrelationKernel : public Kernel {
 public:
  RowWinogradCorrelationKernel(CorrelationProblem problem, const RowTileShape& shape, Isa isa,
                               std::string reason);

  /// Why this kernel cannot do the problem; empty when it can.
  [[nodiscard]] static std::string refusal(const CorrelationProblem& problem);
  [[nodiscard]] static std::optional<RowTileShape> tile(const CorrelationProblem& problem,
                                                        Convolution asked);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override { return shared_bytes_; }
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }
  [[nodiscard]] int num_phases() const override { return moments_.exist() ? 3 : 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override;
  void run(int phase, int64_t task, const KernelArgs& args) const override;
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override;
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override;

 private:
  struct Scratch;
  struct Task {
    int64_t n = 0;
    int64_t piece = 0;  ///< of the moments
    Box3 box;           ///< destinations j
  };

  void choose_boxes();
  [[nodiscard]] Task task_at(int64_t task) const;
  void transform_weights(size_t block, const KernelArgs& args) const;
  /// kRowsTogether rows from `row` of the box on and tiles from `tile` of the strip on, of one
  /// destination block.
  void correlate_rows(const RowWinogradSource::Load& load, int64_t piece, int64_t d, int64_t row,
                      int64_t tile, size_t block, const Scratch& scratch,
                      const KernelArgs& args) const;

  CorrelationProblem problem_;
  RowTileShape shape_;
  Isa isa_;
  std::string reason_;
  std::vector<ChannelBlock> destination_blocks_;
  std::vector<bool> streams_;  ///< by destination: its results are written past the caches
  int64_t channels_;           ///< of the source
  int64_t point_weights_ = 0;  ///< floats of a block at a point
  RowWinogradSource source_;
  Extent3 box_;    ///< destinations j of a task, at most
  Extent3 boxes_;  ///< tasks along each axis
  OutputMoments moments_;
  size_t shared_bytes_ = 0;
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
