#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/channel_blocks.h"
#include "wholemount/ops/conv/geometry.h"

namespace wholemount {

/// Convolutions whose kernel equals their stride cut the fine image (the convolution's input) into
/// patches that share nothing, one per voxel of the coarse one: 1x1x1 kernels, and the 2x2x2
/// stride-2 up- and downsampling of U-Nets. They are plain matrix products.
///
/// Empty when the geometry is one of them, else why not.
[[nodiscard]] std::string patch_geometry_refusal(const ConvGeometry& geometry,
                                                 const Extent3& coarse, const Extent3& fine);

/// Rows [begin.h, end.h) and planes [begin.d, end.d) of the coarse image as one flat list of
/// voxels.
struct CoarseRows {
  Box3 box;  ///< full width
  [[nodiscard]] int64_t voxels() const { return volume(box.extent()); }
};

/// Packs channel blocks of `inputs` at the flat coarse voxels [first, last) of `rows`: sixteen
/// floats a voxel, LoadTransform applied. Coarse voxel v is read at voxel v * step + offset.
struct PatchPack {
  const InputView* input = nullptr;  ///< of the block
  ChannelBlock block;
  int64_t n = 0;
  Extent3 step;
  Extent3 offset;
};
void pack_patch_voxels(const PatchPack& pack, const CoarseRows& rows, int64_t first, int64_t last,
                       Isa isa, float* out);

/// Where the flat coarse voxels [first, last) of `rows` lie in a blocked tensor, in floats from
/// voxel (0, 0, 0): voxel v at v * step.
void patch_offsets(const TensorView& view, const Extent3& step, const CoarseRows& rows,
                   int64_t first, int64_t last, int64_t* offsets);

/// Cuts a coarse image into tasks of whole planes, or of whole rows of one plane: at most
/// `wanted_tasks` or so, of at least `least_voxels`.
class CoarseTasks {
 public:
  CoarseTasks() = default;
  CoarseTasks(const Extent3& extent, int64_t wanted_tasks, int64_t least_voxels);
  [[nodiscard]] int64_t count() const { return bands_d_ * bands_h_; }
  [[nodiscard]] CoarseRows at(int64_t task) const;

 private:
  Extent3 extent_;
  int64_t planes_ = 1;
  int64_t rows_ = 1;
  int64_t bands_d_ = 1;
  int64_t bands_h_ = 1;
};

}  // namespace wholemount
