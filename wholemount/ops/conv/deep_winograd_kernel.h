#pragma once

#include <span>
#include <string>
#include <vector>

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/inner/winograd_sums.h"
#include "wholemount/ops/conv/output_moments.h"
#include "wholemount/ops/conv/winograd_runs.h"

namespace wholemount {

/// Winograd convolution for many channels and few voxels, where transformed weights would fill no
/// cache: they are made when they are needed. A task takes a block of tiles of one sample and some
/// destination blocks, whose sums at all frequencies rest in the L2 cache. Source blocks pass by a
/// few at a time: their tiles are transformed; then, for each one or two destination blocks, the
/// weights of these blocks are read once from where the parameters lie, transformed into scratch
/// that stays in that cache, multiplied and added to the sums. Moments of the outputs are summed as
/// they are stored; phase 1 joins them. Shared scratch: none but for moments. Thread scratch: at
/// most kCacheBytes and a little.
/// Takes what WinogradCorrelationKernel takes.
class DeepWinogradKernel : public Kernel {
 public:
  DeepWinogradKernel(CorrelationProblem problem, WinogradTile tile, Isa isa, std::string reason);

  [[nodiscard]] const CorrelationProblem& problem() const { return problem_; }
  [[nodiscard]] WinogradTile tile() const { return shape_.tile; }
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return moments_.exist() ? moments_.scratch_end() : 0;
  }
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }
  [[nodiscard]] int num_phases() const override { return moments_.exist() ? 2 : 1; }
  [[nodiscard]] int64_t num_tasks(int phase) const override;
  void run(int phase, int64_t task, const KernelArgs& args) const override;
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return input == problem_.rectified_input || problem_.is_blocked_source(input);
  }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override;
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override;

  /// Transformed source, weights and sums: somewhat more than a core's L2 cache of 2 MiB, for all
  /// of it is walked in order and asked for ahead of time.
  static constexpr int64_t kCacheBytes = int64_t{2600} << 10;

 private:
  /// One or two destination blocks multiplied together.
  struct Group {
    size_t first_block = 0;
    int32_t num_blocks = 1;
  };
  struct Task {
    int64_t n = 0;
    int64_t piece = 0;  ///< of the moments
    size_t first_group = 0, last_group = 0;
    int64_t first_tile = 0, last_tile = 0;  ///< of a sample, in the order d, h, w
  };
  /// Source blocks that pass by at a time.
  struct Chunk {
    size_t first = 0, last = 0;
  };
  struct Scratch;

  void choose_tasks();
  [[nodiscard]] Task task_at(int64_t task) const;
  /// The outputs of a task's tiles, as a box around them.
  [[nodiscard]] Box3 task_outputs(const Task& task) const;
  [[nodiscard]] bool wanted(const Group& group, const KernelArgs& args) const;
  /// The next group of the task from `group` on that is wanted; last_group when there is none.
  [[nodiscard]] size_t next_wanted(const Task& task, size_t group, const KernelArgs& args) const;
  void transform_source(const Task& task, const Chunk& chunk, std::span<const WinogradRun> runs,
                        const Scratch& scratch, const KernelArgs& args) const;
  void transform_weights(const Group& group, const Chunk& chunk, const Scratch& scratch,
                         const KernelArgs& args) const;
  /// Where the weights of a group for a chunk lie, for LinesAhead; returns the number of ranges.
  int64_t weights_ahead(const Group& group, const Chunk& chunk, const KernelArgs& args,
                        LineRange* ranges) const;
  void transform_result(const Task& task, std::span<const WinogradRun> runs, const Scratch& scratch,
                        const KernelArgs& args) const;

  CorrelationProblem problem_;
  WinogradShape shape_;
  Isa isa_;
  std::string reason_;
  std::vector<ChannelBlock> source_blocks_;
  std::vector<ChannelBlock> destination_blocks_;
  std::vector<int32_t> source_lanes_;  ///< of each source block
  std::vector<Group> groups_;
  int64_t group_blocks_ = 1;  ///< destination blocks of a group, at most
  Extent3 tiles_;             ///< along each axis
  WinogradBlocks blocks_;
  int64_t padded_tiles_ = 1;   ///< of a block, up to the next full register tile
  int64_t chunk_blocks_ = 1;   ///< source blocks of a chunk, at most
  int64_t source_pitch_ = 0;   ///< floats from a frequency to the next
  int64_t weights_pitch_ = 0;  ///< likewise
  int64_t sums_pitch_ = 0;     ///< likewise
  int64_t group_floats_ = 0;   ///< sums of a group
  int64_t columns_pitch_ = 0;  ///< floats from a frequency pair's source columns to the next one's
  int64_t result_pitch_ = 0;   ///< likewise of result columns
  int64_t group_parts_ = 1;
  int64_t groups_per_part_ = 1;
  int64_t sample_blocks_ = 1;  ///< blocks of tiles in a sample
  OutputMoments moments_;
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
