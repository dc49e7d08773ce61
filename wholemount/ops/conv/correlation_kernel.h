#pragma once

#include <memory>
#include <string>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/channel_blocks.h"
#include "wholemount/ops/conv/geometry.h"
#include "wholemount/ops/conv/output_moments.h"
#include "wholemount/ops/conv/source_lines.h"
#include "wholemount/ops/conv/source_ring.h"

namespace wholemount {

/// A convolution or its adjoint for fixed shapes, and where its operands stand among a kernel's
/// inputs and outputs:
///   destination(c', v) = bias(c') + sum over c, taps k of weight(c', c, k) * source(c, v's tap k)
/// The four passes of convolution and transposed convolution that produce activations differ only
/// in this description.
struct CorrelationProblem {
  std::string pass;  ///< "conv_forward" ...: first part of the kernel's name
  CorrelationGeometry geometry;
  /// The same as a convolution (the reference kernels compute by its definition), and whether the
  /// problem is its adjoint.
  ConvGeometry conv;
  bool adjoint = false;
  std::vector<TensorDesc> sources;       ///< concatenated by channels
  std::vector<TensorDesc> destinations;  ///< cut by channels; n = 0: not wanted
  int first_source = 0;                  ///< index of sources[0] among the kernel's inputs
  int weights_input = 0;
  int bias_input = -1;  ///< -1: no bias
  /// >= 0: the one destination, of more than four channels, is multiplied by the derivative of a
  /// leaky rectifier of this input, which has its shape: by 1 where it is > 0, else by the slope.
  int rectified_input = -1;
  float rectified_slope = 0.0F;
  /// >= 0: the moments of the one destination, of one sample and more than four channels, are this
  /// output of the kernel.
  int moments_output = -1;
  TensorDesc weights;  ///< plain [a, b, kd, kh, kw]
  bool source_is_first_weight_axis = false;

  [[nodiscard]] int64_t source_channels() const;
  [[nodiscard]] int64_t destination_channels() const;
  /// Elements between neighbouring source / destination channels in the weights.
  [[nodiscard]] int64_t source_weight_stride() const;
  [[nodiscard]] int64_t destination_weight_stride() const;
  /// 2 per multiply-add of the definition, padding included.
  [[nodiscard]] int64_t flops() const;
  [[nodiscard]] int64_t traffic_bytes() const;
  /// Whether the kernel's input `input` is a source blocked by channels.
  [[nodiscard]] bool is_blocked_source(int input) const;
};

/// Direct convolution. Phase 0 packs the weights in the order of the inner loop into shared
/// scratch; phase 1 computes boxes of the destination: the source rows a box touches are copied to
/// thread scratch plane by plane (SourceRing) and walked by a register tile of voxels x channels.
/// Where rows are too short for such tiles, a box is held whole and walked by tiles of several rows
/// (inner/correlation_rows.h), all planes for one reading of the weights.
/// Moments of the destination are summed as it is stored (short rows: as soon as a box is
/// computed); phase 2 joins them. Shared
/// scratch: the weights once more. Thread scratch: about kRingBytes.
class CorrelationKernel : public Kernel {
 public:
  CorrelationKernel(CorrelationProblem problem, Isa isa, std::string reason);

  /// Why this kernel cannot do the problem; empty when it can.
  [[nodiscard]] static std::string refusal(const CorrelationProblem& problem);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] std::string reason() const override { return reason_; }
  [[nodiscard]] int64_t flops() const override { return problem_.flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return problem_.traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override { return shared_bytes_; }
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }
  [[nodiscard]] int num_phases() const override { return moments_.exist() ? 3 : 2; }
  [[nodiscard]] int64_t num_tasks(int phase) const override;
  void run(int phase, int64_t task, const KernelArgs& args) const override;
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return input == problem_.rectified_input || (!in_place_ && problem_.is_blocked_source(input));
  }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override;
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override;

  /// Source voxels a task holds at once are limited to about this much, to fit a core's L2 cache
  /// beside weights and sums.
  static constexpr int64_t kRingBytes = int64_t{640} << 10;

 private:
  /// One or two destination blocks computed together.
  struct Group {
    size_t first_block = 0;
    int32_t num_blocks = 1;
    int64_t weights_offset = 0;  ///< floats in the packed weights
    /// 1 to 4 plain channels from blocked sources: summed over lanes (inner/few_outputs.h).
    bool few = false;
    int32_t halves = 0;  ///< CorrelationPlane::halves
    /// Packed weights of one source lane and tap.
    [[nodiscard]] int64_t lane_floats() const {
      return halves > 0 ? int64_t{halves} * 8 : int64_t{num_blocks} * 16;
    }
  };
  /// Of a group, two blocks or three halves.
  static constexpr int64_t kBiasFloats = 48;
  struct Tap {
    int64_t od, oh, ow;
    int64_t index;  ///< in the kernel, (kd * KH + kh) * KW + kw
  };
  /// The destinations that share a tap list.
  struct Class {
    Extent3 start;
    Extent3 count;
    std::vector<Tap> taps;
    int64_t taps_before = 0;
    int32_t tap_run = 1;             ///< 3 or 5 when the taps come as so many neighbours along w
    std::vector<int32_t> run_lines;  ///< of runs of three: SourceLines::line()
  };
  struct Task {
    int64_t n = 0;
    int64_t piece = 0;  ///< of the moments
    size_t first_group = 0;
    size_t last_group = 0;
    Box3 box;  ///< destinations j
  };
  /// A task's part of the thread scratch.
  struct Scratch;

  void build_groups(Isa isa);
  /// Whether destinations may be summed by halves.
  [[nodiscard]] bool takes_halves() const;
  /// The destination blocks from `first` on that are computed together, at most `most`.
  [[nodiscard]] Group next_group(size_t first, size_t most) const;
  [[nodiscard]] int64_t tile_voxels(const Group& group, const Class& one) const;
  void build_classes();
  void choose_boxes();
  void size_scratch();
  [[nodiscard]] int64_t chunk_blocks(const Group& group, const Class& one) const;
  [[nodiscard]] Task task_at(int64_t task) const;
  [[nodiscard]] int32_t few_channels(const Group& group) const {
    return destination_blocks_[group.first_block].lanes;
  }
  void pack_few_weights(const Group& group, const ChannelBlock& source, int64_t source_index,
                        const KernelArgs& args) const;
  void correlate_few(const Task& task, const Group& group, const Class& one, int64_t jd,
                     const Scratch& scratch, LinesAhead* ahead, const KernelArgs& args) const;
  /// Decides whether few outputs read their sources by lines, and where these lie.
  void build_lines();
  /// Whether the task reads its sources where they lie.
  [[nodiscard]] bool reads_in_place(const Task& task, const KernelArgs& args) const;
  void pack_weights(int64_t task, const KernelArgs& args) const;
  void correlate_box(const Task& task, const KernelArgs& args) const;
  /// After the last of its sources, while it lies in the caches.
  void rectify_box(const Task& task, const KernelArgs& args) const;
  /// Calls body(block, its moments in the task's piece).
  template <class Body>
  void for_each_moments(const Task& task, const KernelArgs& args, const Body& body) const;
  void correlate_group(const Task& task, const Group& group, const Class& one, int64_t jd,
                       const Scratch& scratch, LinesAhead* ahead, const KernelArgs& args) const;
  /// Steps of LinesAhead in a plane of a task.
  [[nodiscard]] int64_t steps_of_plane(const Task& task) const;
  /// Whether tiles of several rows fit the problem, whose rows are `columns` long.
  [[nodiscard]] bool takes_short_rows(int64_t columns) const;

  CorrelationProblem problem_;
  Isa isa_;
  std::string reason_;
  std::vector<ChannelBlock> source_blocks_;
  std::vector<ChannelBlock> destination_blocks_;
  std::vector<int32_t> source_lanes_;  ///< of each source block
  std::vector<Group> groups_;
  std::vector<Class> classes_;
  int64_t num_taps_ = 0;
  SourceRing ring_;
  SourceLines lines_;      ///< empty unless some group is `few` and takes lines
  bool in_place_ = false;  ///< sources without a transform are read where they lie
  int64_t tile_rows_ = 0;  ///< of a tile of short rows; 0: tiles run on through the rows
  Extent3 box_;            ///< destinations j of a task, at most
  Extent3 boxes_;          ///< tasks along each axis
  int64_t group_parts_ = 1;
  int64_t groups_per_part_ = 1;
  OutputMoments moments_;
  size_t shared_bytes_ = 0;
  size_t thread_bytes_ = 0;
  int64_t accumulator_floats_ = 0;
};

}  // namespace wholemount
