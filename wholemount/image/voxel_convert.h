#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "wholemount/image/volume_header.h"

namespace wholemount {

/// How stored voxels become values: type, byte order, slope, intercept.
struct VoxelDecoding {
  VoxelType type = VoxelType::f32;
  bool big_endian = false;
  double slope = 1.0;
  double intercept = 0.0;
};

/// A voxel that could not be turned into the wanted number.
struct BadVoxel {
  size_t index = 0;  ///< position in the span
  double value = 0;
};

/// Converts values.size() voxels at `stored` (unaligned) to float32; scaled values are computed in
/// float64 and rounded once. Returns the first voxel whose value is NaN or infinite (also one
/// outside float32's range); all voxels are converted regardless.
std::optional<BadVoxel> decode_floats(const VoxelDecoding& decoding, const std::byte* stored,
                                      std::span<float> values);

/// Converts to integers exactly. Returns the first voxel whose value is not a whole number in the
/// range of the destination; conversion stops there.
std::optional<BadVoxel> decode_labels(const VoxelDecoding& decoding, const std::byte* stored,
                                      std::span<uint8_t> values);
std::optional<BadVoxel> decode_labels(const VoxelDecoding& decoding, const std::byte* stored,
                                      std::span<int32_t> values);

}  // namespace wholemount
