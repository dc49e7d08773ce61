#pragma once

#include <string>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/channel_blocks.h"
#include "wholemount/ops/conv/geometry.h"
#include "wholemount/ops/conv/source_ring.h"

namespace wholemount {

/// The weight gradient of a convolution or of its adjoint, and where its operands stand:
///   grad_weights(a, b, k) = sum over n, o of coarse(n, a, o) * fine(n, b, o * stride + dil * k -
///   p)
/// `coarse` lies at the convolution's output, `fine` at its input. For a convolution coarse is
/// grad_y and fine its inputs; for a transposed convolution coarse is x and fine is grad_y.
/// Outputs of the kernel: 0 = grad_weights, 1 = grad_bias (sum of grad_y per channel).
struct WeightGradientProblem {
  std::string pass;
  ConvGeometry conv;
  CorrelationGeometry geometry;  ///< forward: source fine, destination coarse
  TensorDesc coarse;
  int coarse_input = 0;
  std::vector<TensorDesc> fine;  ///< concatenated by channels
  int first_fine = 1;
  TensorDesc weights;  ///< plain [coarse channels, fine channels, kd, kh, kw]
  bool has_bias = true;
  bool bias_of_fine = false;  ///< grad_y is the fine operand

  [[nodiscard]] int64_t flops() const;
  [[nodiscard]] int64_t traffic_bytes() const;
};

/// Direct weight gradient. Phase 0: a task takes a panel (some coarse by some fine channel
/// blocks) over a part of the voxels, copies the rows it needs to thread scratch and sums into its
/// own partial result; phase 1 folds the partial results in a fixed order in float64 and writes the
/// plain layout. Shared scratch: the partial results, at most max(64 MiB, 2 x the result).
class WeightGradientKernel : public Kernel {
 public:
  WeightGradientKernel(WeightGradientProblem problem, Isa isa, std::string reason);

  /// Why this kernel cannot do the problem; empty when it can.
  [[nodiscard]] static std::string refusal(const WeightGradientProblem& problem);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override { return shared_bytes_; }
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }
  [[nodiscard]] int num_phases() const override { return 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override;
  void run(int phase, int64_t task, const KernelArgs& args) const override;
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override;
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override;

  /// Rows of both operands that a task holds at once are limited to about this much.
  static constexpr int64_t kRowsBytes = int64_t{640} << 10;

 private:
  struct Task {
    int64_t part = 0;  ///< of the voxels: which partial result
    size_t first_coarse = 0, last_coarse = 0;
    size_t first_fine = 0, last_fine = 0;
    Box3 box;
  };
  struct Scratch;

  void choose_parts();
  void size_scratch();
  [[nodiscard]] Task task_at(int64_t task) const;
  [[nodiscard]] float* partial(const KernelArgs& args, int64_t part, size_t coarse,
                               size_t fine) const;
  [[nodiscard]] double* bias_partial(const KernelArgs& args, int64_t part, size_t block) const;
  void sum_part(const Task& task, const KernelArgs& args) const;
  void sum_band(const Task& task, int64_t n, const Box3& band, const Scratch& scratch,
                const KernelArgs& args) const;
  void load_coarse(const Task& task, int64_t n, const Box3& band, int64_t jd,
                   const Scratch& scratch, const KernelArgs& args) const;
  void sum_bias(const Task& task, int64_t n, const Box3& band, int64_t jd,
                const KernelArgs& args) const;
  void fold_weights(size_t coarse, size_t fine, const KernelArgs& args) const;
  void fold_bias(size_t block, const KernelArgs& args) const;

  WeightGradientProblem problem_;
  Isa isa_;
  std::string reason_;
  std::vector<ChannelBlock> coarse_blocks_;
  std::vector<ChannelBlock> fine_blocks_;
  std::vector<int64_t> fine_offset_;  ///< floats, of each fine block within a coarse block's sums
  int64_t coarse_floats_ = 0;         ///< sums of one coarse block
  int64_t part_floats_ = 0;           ///< one partial result
  int64_t num_taps_ = 0;
  int64_t coarse_per_panel_ = 1;  ///< blocks
  int64_t fine_per_panel_ = 1;
  int64_t coarse_panels_ = 1;
  int64_t fine_panels_ = 1;
  int64_t planes_per_part_ = 1, rows_per_part_ = 1;
  int64_t parts_d_ = 1, parts_h_ = 1;
  Band band_;
  SourceRing ring_;
  size_t shared_bytes_ = 0;
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
