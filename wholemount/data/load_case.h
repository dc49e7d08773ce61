#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wholemount/data/dataset.h"
#include "wholemount/data/field_copies.h"
#include "wholemount/data/intensity_fit.h"
#include "wholemount/data/normalise.h"
#include "wholemount/data/placement.h"
#include "wholemount/data/spatial_move.h"
#include "wholemount/data/target.h"
#include "wholemount/image/nifti_reader.h"
#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// How cases become tensors.
struct LoadSpec {
  std::vector<int64_t> channels;  ///< of the data set, in tensor order; at least one
  NormaliseSpec normalise;
  bool correct_light = false;  ///< divide by the plate's illumination first
  /// What light and the fitted kinds of `normalise` need (needs_fit); else null.
  std::shared_ptr<const IntensityFit> fit;
  ShapeSpec shape;
  AugmentSpec augment;
  CopySet copies = CopySet::none;          ///< what Case::copy counts; then augment moves nothing
  uint64_t seed = 0;                       ///< of the augmentation
  std::optional<TargetDefinition> target;  ///< none: no label map
  bool whole_image = false;                ///< the target is the case's class
  /// Memory of the most demanding reader of the data set (CaseHeaders).
  size_t reader_bytes = kNiftiReaderBytes;

  [[nodiscard]] bool turns() const { return augment.rot15 || copies == CopySet::turns; }
};

/// Tensors of one case in one piece of memory: the image first, then the target, then what a warp
/// needs while loading.
struct StagingDesc {
  TensorDesc image;                  ///< activation(1, channels, padded), float32
  std::optional<TensorDesc> target;  ///< plain u8 [1, 1, padded]; a class: [1, 1, 1, 1, 1]
  size_t target_offset = 0;          ///< bytes, a multiple of 64
  size_t scratch_offset = 0;         ///< bytes, a multiple of 64
  /// One float32 a voxel: of the used part with "affine" or "elastic", of all with turns by 15
  /// degrees.
  size_t scratch_bytes = 0;
  size_t bytes = 0;  ///< of all, a multiple of 64
};
[[nodiscard]] StagingDesc staging_desc(const LoadSpec& spec, const Extent3& stored);

/// A case in memory; the views point into the memory given to load_case.
struct LoadedCase {
  int64_t case_index = 0;
  uint64_t epoch = 0;
  std::string id;
  TensorView image;  ///< f32 [1, channels, padded]
  /// u8 [1, 1, padded], where padding holds kIgnoreTarget; or the class of the whole image
  std::optional<TensorView> target;
  Placement placement;                 ///< placement.valid: the part that is not padding
  VolumeHeader header;                 ///< of the first channel's file: geometry for outputs
  SpatialMove move;                    ///< what augmentation did
  std::vector<IntensityScale> scales;  ///< one a channel
};

/// Which case, and in which epoch (for the augmentation).
struct CaseRequest {
  int64_t case_index = 0;
  uint64_t epoch = 0;
};

/// What the headers of a data set's images say.
struct CaseHeaders {
  std::vector<Extent3> extents;   ///< by case
  std::vector<VoxelType> stored;  ///< by case
  size_t reader_bytes = 0;        ///< largest VolumeReader::memory_bytes
};

/// Reads the header of every case's first channel. Throws FileError as open_volume does.
[[nodiscard]] CaseHeaders read_case_headers(std::span<const Case> cases);

/// Reads a case into `memory` (at least staging_desc(...).bytes, 64-byte aligned): normalised per
/// channel, then padded with 0, augmented while writing.
/// Memory of its own: at most load_bytes(spec), whatever the size of the case.
/// Throws FileError (exit 3): what open_volume and its readers throw; NaN or infinite voxels;
/// channels or label of another shape; an image and label that lie at different places (corners
/// further apart than 5 % of a voxel); a label value the data set does not declare; a case larger
/// than planned for.
[[nodiscard]] LoadedCase load_case(const Case& subject, const CaseRequest& request,
                                   const LoadSpec& spec, std::span<std::byte> memory);

/// Upper bound of what load_case allocates: two readers, a row buffer, a histogram, small things.
[[nodiscard]] constexpr size_t load_bytes(const LoadSpec& spec) {
  return 2 * spec.reader_bytes + kNormaliseBytes + (size_t{768} << 10);
}

}  // namespace wholemount
