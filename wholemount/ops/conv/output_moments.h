#pragma once

#include <cstddef>
#include <cstdint>

#include "wholemount/base/cpu.h"
#include "wholemount/base/simd/lane_moments.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/channel_blocks.h"

namespace wholemount {

struct Moments;

/// The moments of a convolution's output (moments_desc), summed where it is stored. The output is
/// cut into pieces, each computed by one task a channel block; a piece's moments rest in shared
/// scratch until a phase of one task a channel block joins them in the order of the pieces. Hence
/// the bits depend on the pieces only, which shape and instruction set decide.
class OutputMoments {
 public:
  /// Not wanted.
  OutputMoments() = default;
  /// As output `output` of the kernel, of `num_pieces` pieces of an activation of `channels`
  /// channels; shared scratch is used from `offset` on.
  OutputMoments(int output, int64_t num_pieces, int64_t channels, size_t offset);

  [[nodiscard]] bool exist() const { return output_ >= 0; }
  /// Whether this run is to sum them.
  [[nodiscard]] bool wanted(const KernelArgs& args) const {
    return exist() && args.outputs[static_cast<size_t>(output_)].view.origin != nullptr;
  }
  /// The end of the shared scratch in use.
  [[nodiscard]] size_t scratch_end() const;

  /// The moments of channel block `block` of piece `piece`.
  [[nodiscard]] LaneMoments& piece(int64_t piece, int64_t block, const KernelArgs& args) const;
  /// The same, without values yet.
  [[nodiscard]] LaneMoments& begin_piece(int64_t piece, int64_t block,
                                         const KernelArgs& args) const;
  /// For kernels that read again what they have stored: the voxels `box` of channel
  /// block `block` of sample 0 of `y` are joined to `all`.
  static void sum_box(const TensorView& y, int64_t block, const Box3& box, Isa isa,
                      LaneMoments& all);

  /// The last phase: a task is a channel block.
  [[nodiscard]] int64_t num_tasks() const { return exist() ? num_blocks_ : 0; }
  [[nodiscard]] Box3 output_box(int64_t task) const {
    return {{0, 0, 16 * task}, {1, 1, 16 * task + 16}};
  }
  void fold(int64_t task, const KernelArgs& args) const;

 private:
  int output_ = -1;
  int64_t num_pieces_ = 0;
  int64_t channels_ = 0;
  int64_t num_blocks_ = 0;
  size_t offset_ = 0;
};

/// Writes lane `channel` of a moments tensor.
void write_moments(const TensorView& moments, int64_t channel, const Moments& all);

}  // namespace wholemount
