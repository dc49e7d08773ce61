#pragma once

#include <string>
#include <vector>

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/inner/gemm_tile.h"
#include "wholemount/ops/conv/patch_geometry.h"

namespace wholemount {

/// Convolutions whose kernel equals their stride (1x1x1, 2x2x2 of stride 2), and their adjoints, as
/// a matrix product: coarse voxels times (kernel position x channel). Phase 0 packs the weights in
/// the order of the inner loop; a task of phase 1 takes rows of the coarse image and some columns,
/// packs a chunk of source voxels, LoadTransform applied, and multiplies it from registers straight
/// into the destination. Shared scratch: the weights once more. Thread scratch: about
/// kChunkBytes; more where a coarse voxel has more than some 8 KiB of sources.
class GemmCorrelationKernel : public Kernel {
 public:
  GemmCorrelationKernel(CorrelationProblem problem, Isa isa, std::string reason);

  /// Why this kernel cannot do the problem; empty when it can.
  [[nodiscard]] static std::string refusal(const CorrelationProblem& problem);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override { return shared_bytes_; }
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }
  [[nodiscard]] int num_phases() const override { return 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override;
  void run(int phase, int64_t task, const KernelArgs& args) const override;
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return !rows_in_place_ && problem_.is_blocked_source(input);
  }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override;
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override;

  /// Source voxels packed at once, to stay in a core's L2 cache.
  static constexpr int64_t kChunkBytes = int64_t{256} << 10;

 private:
  /// A source block or a column of sixteen outputs, at one kernel position.
  struct Slice {
    size_t block = 0;
    Extent3 tap;
    int64_t tap_index = 0;  ///< in the kernel
  };
  /// One or two columns multiplied together.
  struct Group {
    size_t first_column = 0;
    int32_t num_columns = 1;
    int64_t weights_offset = 0;  ///< floats in the packed weights
  };
  struct Task {
    int64_t n = 0;
    size_t first_group = 0, last_group = 0;
    CoarseRows rows;
  };
  struct Scratch;

  [[nodiscard]] std::vector<Slice> slices(size_t num_blocks, bool every_tap) const;
  void build_groups();
  void choose_tasks();
  [[nodiscard]] Task task_at(int64_t task) const;
  void pack_weights(size_t group, const KernelArgs& args) const;
  void fill_bias(const Scratch& scratch, const KernelArgs& args) const;
  /// The flat voxels [first, last) of a task, packed first.
  void multiply_chunk(const Task& task, int64_t first, int64_t last, const Scratch& scratch,
                      const KernelArgs& args) const;
  /// One row, read where it lies.
  void multiply_row(const Task& task, int64_t d, int64_t h, const Scratch& scratch,
                    const KernelArgs& args) const;
  void find_outputs(const CoarseRows& rows, int64_t first, int64_t last, const Scratch& scratch,
                    const KernelArgs& args) const;
  void multiply_groups(const Task& task, GemmRun& run, const Scratch& scratch,
                       const KernelArgs& args) const;

  CorrelationProblem problem_;
  Isa isa_;
  std::string reason_;
  std::vector<ChannelBlock> source_blocks_;
  std::vector<ChannelBlock> destination_blocks_;
  std::vector<Slice> streams_;         ///< of the sources
  std::vector<int32_t> stream_lanes_;  ///< channels of each
  std::vector<Slice> columns_;         ///< of the destinations
  std::vector<Group> groups_;
  int64_t rows_of_weights_ = 0;  ///< sum of stream_lanes_
  Extent3 coarse_;
  int64_t chunk_voxels_ = 1;
  int64_t offset_voxels_ = 1;   ///< of the table of output places
  bool rows_in_place_ = false;  ///< unless a source carries a LoadTransform
  int64_t stream_pitch_ = 16;
  CoarseTasks tasks_;
  int64_t group_parts_ = 1;
  int64_t groups_per_part_ = 1;
  size_t shared_bytes_ = 0;
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
