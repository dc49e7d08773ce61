#pragma once

#include <span>
#include <string>
#include <vector>

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/winograd_runs.h"

namespace wholemount {

/// Winograd convolution: with m^3 outputs a tile and (m + 2)^3 points a tile (k5: (m + 4)^2),
///   y = A^T ((G g) * (B^T x)) on each axis, summed over source channels between the transforms.
/// Phase 0 transforms the weights into shared scratch; a task of phase 1 takes a run of tiles of
/// one sample and some destination blocks, block of tiles by block of tiles: it transforms the
/// columns of the source along d and h (LoadTransform applied, padding zero); then, for each pair
/// of frequencies along d and h and for some tiles at a time, it transforms along w, multiplies,
/// and transforms back along w, all in L1; last the columns along h and d, and with them the
/// moments of the task's outputs, which phase 2 joins. Shared scratch: the weights times (m + 2)^3
/// / 27. Thread scratch: about kBlockBytes; more for deep layers, whose weights would otherwise be
/// read too often.
class WinogradCorrelationKernel : public Kernel {
 public:
  WinogradCorrelationKernel(CorrelationProblem problem, WinogradTile tile, Isa isa,
                            std::string reason);

  /// Why Winograd is not defined for the problem; empty when it is.
  [[nodiscard]] static std::string refusal(const CorrelationProblem& problem);
  [[nodiscard]] static WinogradWork work(const CorrelationProblem& problem);

  [[nodiscard]] const CorrelationProblem& problem() const { return problem_; }
  [[nodiscard]] WinogradTile tile() const { return shape_.tile; }
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return moments_.exist() ? moments_.scratch_end() : shared_bytes_;
  }
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }
  [[nodiscard]] int num_phases() const override { return moments_.exist() ? 3 : 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override;
  void run(int phase, int64_t task, const KernelArgs& args) const override;
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return input == problem_.rectified_input || problem_.is_blocked_source(input);
  }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override;
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override;

  /// Transformed columns of source and result of a block of tiles: a quarter of a core's L2 cache
  /// of 2 MiB, since the weights, and the voxels that neighbouring tiles share, should stay there
  /// too.
  static constexpr int64_t kBlockBytes = int64_t{520} << 10;
  /// The same where the weights do not fit that cache.
  static constexpr int64_t kDeepBlockBytes = int64_t{850} << 10;
  /// Source and product of the tiles that are multiplied at a time, at the frequencies along w, to
  /// fit half of a core's L1 cache.
  static constexpr int64_t kChunkBytes = int64_t{24} << 10;

 private:
  /// One or two destination blocks multiplied together.
  struct Group {
    size_t first_block = 0;
    int32_t num_blocks = 1;
    int64_t weights_offset = 0;  ///< floats, within a frequency
  };
  struct Task {
    int64_t n = 0;
    int64_t piece = 0;  ///< of the moments
    size_t first_group = 0, last_group = 0;
    int64_t first_tile = 0, last_tile = 0;  ///< of a sample, in the order d, h, w
  };
  struct Scratch;

  void build_groups();
  void choose_tasks();
  [[nodiscard]] Task task_at(int64_t task) const;
  /// The outputs of a task's tiles, as a box around them.
  [[nodiscard]] Box3 task_outputs(const Task& task) const;
  [[nodiscard]] bool wanted(const Group& group, const KernelArgs& args) const;
  void transform_weights(int64_t task, const KernelArgs& args) const;
  void transform_source(const Task& task, std::span<const WinogradRun> runs, const Scratch& scratch,
                        const KernelArgs& args) const;
  /// The products of the (d, h) frequency pair `row`, from columns to columns.
  void multiply(const Task& task, std::span<const WinogradRun> runs, int64_t row,
                const Scratch& scratch, const KernelArgs& args) const;
  /// `starts`: the runs are the task's first.
  void transform_result(const Task& task, std::span<const WinogradRun> runs, bool starts,
                        const Scratch& scratch, const KernelArgs& args) const;

  CorrelationProblem problem_;
  WinogradShape shape_;
  Isa isa_;
  std::string reason_;
  std::vector<ChannelBlock> source_blocks_;
  std::vector<ChannelBlock> destination_blocks_;
  std::vector<int32_t> source_lanes_;  ///< of each source block
  std::vector<Group> groups_;
  Extent3 tiles_;              ///< along each axis
  int64_t weights_pitch_ = 0;  ///< floats from a frequency to the next
  WinogradBlocks blocks_;
  int64_t block_columns_ = 0;   ///< of source, at most
  int64_t columns_pitch_ = 0;   ///< floats from a frequency pair's source columns to the next one's
  int64_t result_pitch_ = 0;    ///< likewise of result columns
  int64_t source_pitch_ = 0;    ///< floats from a frequency along w to the next
  int64_t products_pitch_ = 0;  ///< likewise
  int64_t group_parts_ = 1;
  int64_t groups_per_part_ = 1;
  int64_t run_tiles_ = 1;   ///< tiles of a task, at most
  int64_t unit_tiles_ = 1;  ///< tasks do not cross multiples of this
  int64_t runs_per_unit_ = 1;
  int64_t num_units_ = 1;
  OutputMoments moments_;
  size_t shared_bytes_ = 0;
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
