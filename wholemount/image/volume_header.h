#pragma once

#include <cstdint>
#include <string>

#include "wholemount/image/geometry.h"
#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// Number types a file stores voxels in. f128 is IEEE binary128.
enum class VoxelType : uint8_t { u8, i8, u16, i16, u32, i32, u64, i64, f32, f64, f128 };

[[nodiscard]] int64_t voxel_bytes(VoxelType type);
[[nodiscard]] const char* voxel_type_name(VoxelType type);
[[nodiscard]] bool is_integer(VoxelType type);
/// The largest whole number of the type, 65535 of u16; 1 for floats.
[[nodiscard]] double largest_number(VoxelType type);

/// What a volume file holds, known from its header alone.
struct VolumeHeader {
  Extent3 extent;        ///< d, h, w = the file's z, y, x
  int64_t channels = 1;  ///< size of the one axis after z (the fourth in common files)
  VoxelType stored = VoxelType::f32;
  /// A voxel's value is slope * stored + intercept. A stored slope of 0 or NaN means 1 and 0.
  double slope = 1.0;
  double intercept = 0.0;
  Geometry geometry;
  bool big_endian = false;
  int64_t data_offset = 0;  ///< first byte of voxel (0, 0, 0) of channel 0

  [[nodiscard]] bool scaled() const { return slope != 1.0 || intercept != 0.0; }
  /// Bytes of one plane (one d) as stored; throws ShapeError on overflow.
  [[nodiscard]] int64_t plane_bytes() const;
  /// Bytes of all voxels of all channels as stored; throws ShapeError on overflow.
  [[nodiscard]] int64_t payload_bytes() const;
};

/// "[155, 240, 240] of 4 channels, int16" (shape in d, h, w).
[[nodiscard]] std::string to_string(const VolumeHeader& header);

}  // namespace wholemount
