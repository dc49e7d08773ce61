#pragma once

#include <string>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/channel_blocks.h"
#include "wholemount/ops/conv/geometry.h"

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
  /// Whether the kernel's input `input` is the coarse operand, or a fine one, blocked by channels.
  [[nodiscard]] bool is_blocked_coarse(int input) const;
  [[nodiscard]] bool is_blocked_fine(int input) const;
};

/// What all weight gradient kernels share. Phase 0: a task takes a panel (some coarse by some fine
/// channel blocks) over a part of the voxels and sums into its own partial result; phase 1 folds
/// the partial results in a fixed order in float64 and writes the plain layout. Shared scratch: the
/// partial results, at most max(64 MiB, 2 x the result). A kernel that writes_whole_sums() has no
/// partial result of the weights where a task takes all voxels: it writes the plain layout itself.
class WeightGradientKernel : public Kernel {
 public:
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override { return shared_bytes_; }
  [[nodiscard]] int num_phases() const override { return 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override;
  void run(int phase, int64_t task, const KernelArgs& args) const override;
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override;
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override;

 protected:
  struct Task {
    int64_t part = 0;  ///< of the voxels: which partial result
    size_t first_coarse = 0, last_coarse = 0;
    size_t first_fine = 0, last_fine = 0;
    Box3 box;
  };

  WeightGradientKernel(WeightGradientProblem problem, Isa isa, std::string reason);
  /// Cuts the channels into panels; then the voxels into about `wanted_tasks` / panels parts, as
  /// far as the partial results stay within their limit: runs of planes and rows, multiples of
  /// `grain` and at least `least` (d and h of both).
  void cut(int64_t coarse_per_panel, int64_t fine_per_panel, int64_t wanted_tasks,
           const Extent3& grain, const Extent3& least);
  /// To be called before cut(): sum_part() writes grad_weights where is_whole().
  void writes_whole_sums() { writes_whole_sums_ = true; }
  /// Whether each task takes all voxels and writes grad_weights itself, unless that is not wanted.
  [[nodiscard]] bool is_whole() const { return writes_whole_sums_ && parts_d_ * parts_h_ == 1; }
  [[nodiscard]] Task task_at(int64_t task) const;
  /// Whether sum_bias() reads that operand, which it takes in float32 only: it is grad_y.
  [[nodiscard]] bool sums_coarse() const { return problem_.has_bias && !problem_.bias_of_fine; }
  [[nodiscard]] bool sums_fine() const { return problem_.has_bias && problem_.bias_of_fine; }
  /// The sums of a part for two blocks: [tap][fine pitch][16].
  [[nodiscard]] float* partial(const KernelArgs& args, int64_t part, size_t coarse,
                               size_t fine) const;
  /// Sets the task's partial results to zero.
  void clear_weights(const Task& task, const KernelArgs& args) const;
  void clear_bias(const Task& task, const KernelArgs& args) const;
  /// Adds the plane jd of `band` to the bias sums if the task answers for them.
  void sum_bias(const Task& task, int64_t n, const Box3& band, int64_t jd,
                const KernelArgs& args) const;
  /// The sixteen bias sums of a coarse block, for kernels that add to them while they load it;
  /// nullptr if the task does not answer for them.
  [[nodiscard]] double* coarse_bias_sums(const Task& task, size_t block,
                                         const KernelArgs& args) const;
  /// Fills the partial results of a task, those of the bias included.
  virtual void sum_part(const Task& task, const KernelArgs& args) const = 0;

  WeightGradientProblem problem_;
  Isa isa_;
  std::string reason_;
  std::vector<ChannelBlock> coarse_blocks_;
  std::vector<ChannelBlock> fine_blocks_;
  int64_t num_taps_ = 0;
  int64_t coarse_per_panel_ = 1;  ///< blocks
  int64_t fine_per_panel_ = 1;
  int64_t planes_per_part_ = 1, rows_per_part_ = 1;

 private:
  /// Blocks of the operand whose bias is wanted.
  [[nodiscard]] int64_t bias_blocks() const;
  [[nodiscard]] double* bias_partial(const KernelArgs& args, int64_t part, size_t block) const;
  /// Sums of taps folded at once, on the stack.
  static constexpr int64_t kFoldSums = 2048;
  [[nodiscard]] static int64_t fold_taps(int64_t pitch) { return kFoldSums / (pitch * 16); }
  void fold_weights(size_t coarse, size_t fine, int64_t first_tap, int64_t last_tap,
                    const KernelArgs& args) const;
  void fold_bias(size_t block, const KernelArgs& args) const;

  std::vector<int64_t> fine_offset_;  ///< floats, of each fine block within a coarse block's sums
  int64_t coarse_floats_ = 0;         ///< sums of one coarse block
  int64_t part_floats_ = 0;           ///< one partial result
  int64_t coarse_panels_ = 1;
  int64_t fine_panels_ = 1;
  int64_t parts_d_ = 1, parts_h_ = 1;
  bool writes_whole_sums_ = false;
  int64_t folds_per_pair_ = 1;  ///< tasks of phase 1 for a pair of blocks, by taps
  size_t shared_bytes_ = 0;
};

}  // namespace wholemount
