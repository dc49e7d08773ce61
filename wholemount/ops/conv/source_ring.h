#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/base/function_ref.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/channel_blocks.h"
#include "wholemount/ops/conv/geometry.h"
#include "wholemount/ops/conv/inner/lines_ahead.h"

namespace wholemount {

/// `voxels` voxels of a blocked tensor, float32 or bfloat16, that lie side by side from (d, h, w)
/// on.
[[nodiscard]] LineRange lines_of_voxels(const TensorView& view, int64_t n, int64_t block, int64_t d,
                                        int64_t h, int64_t w, int64_t voxels);

/// The source voxels of a correlation in thread scratch: a ring of planes over a box of
/// destinations, with the LoadTransform applied and the zero padding in place, so that inner loops
/// know neither edges nor layouts.
///
/// Each plane is split by the residues of the source step in h and w, every part a grid of `rows` x
/// `columns` voxels; a tap is then a fixed offset, and neighbouring destinations are neighbouring
/// voxels, whatever the stride. Per block: [ring plane][residue h][residue
/// w][rows][columns][pitch].
class SourceRing {
 public:
  SourceRing() = default;
  /// For boxes of at most `max_rows` x `max_columns` destinations, `planes` destination planes at a
  /// time; `slack_voxels` behind each block may be read (their content is undefined).
  SourceRing(const CorrelationGeometry& geometry, int64_t max_rows, int64_t max_columns,
             int64_t slack_voxels, int64_t planes = 1);

  /// Voxels from a destination row to the next in the flat walk.
  [[nodiscard]] int64_t columns() const { return columns_; }
  /// Voxels from a source plane to the next.
  [[nodiscard]] int64_t plane_voxels() const { return plane_voxels_; }
  /// Floats of one channel block.
  [[nodiscard]] int64_t block_floats(const ChannelBlock& block) const {
    return block_voxels_ * block.scratch_pitch();
  }
  [[nodiscard]] int64_t block_voxels() const { return block_voxels_; }

  /// Voxel offset, in a block, of the tap (od, oh, ow) of the box's first destination in plane
  /// `plane` of the box; the flat walk adds row * columns() + column.
  [[nodiscard]] int64_t tap_offset(const CorrelationGeometry& geometry, int64_t plane, int64_t od,
                                   int64_t oh, int64_t ow) const;

  /// What is loaded.
  struct Load {
    const CorrelationGeometry* geometry = nullptr;
    std::span<const ChannelBlock> blocks;
    std::span<const InputView> tensors;     ///< blocks' tensor list
    float* const* block_scratch = nullptr;  ///< per block
    int64_t n = 0;
    Box3 box;     ///< destinations j
    Box3 source;  ///< geometry->source_box(box): all else is taken as zero, never read
  };
  /// Brings in the planes that destination planes jd, jd + 1 ... (as many as are held at a time)
  /// touch; `loaded` is the source plane (relative to min_offset) up to which planes are there
  /// already, and is advanced. Start with `loaded = jd * source_step`.
  void load_planes(const Load& load, Isa isa, int64_t jd, int64_t& loaded) const;
  /// What load_planes() of plane jd + 1 will read of blocked tensors, by planes or halves of them:
  /// at most max_ranges_ahead(blocks) ranges are written; returns how many. `loaded` as
  /// load_planes() left it for plane jd.
  int64_t lines_ahead(const Load& load, int64_t jd, int64_t loaded, bool in_halves,
                      LineRange* ranges) const;
  [[nodiscard]] int64_t max_ranges_ahead(size_t blocks) const {
    return checked_multiply(2 * depth_, static_cast<int64_t>(blocks));
  }

 private:
  void load_plane(const Load& load, Isa isa, size_t block, int64_t relative_plane) const;

  int64_t depth_ = 1;
  int64_t phases_h_ = 1;
  int64_t phases_w_ = 1;
  int64_t rows_ = 1;
  int64_t columns_ = 1;
  int64_t plane_voxels_ = 1;
  int64_t block_voxels_ = 1;
};

/// Rows and columns of destinations that a task holds at once.
struct Band {
  int64_t rows = 1;
  int64_t columns = 1;
};
/// The tallest even bands of whole rows that `fits` in scratch; rows are cut too when a band would
/// be so flat that its halo dominates. Never refuses: at worst one row of few columns.
[[nodiscard]] Band choose_band(int64_t rows, int64_t columns,
                               FunctionRef<bool(int64_t rows, int64_t columns)> fits);

}  // namespace wholemount
