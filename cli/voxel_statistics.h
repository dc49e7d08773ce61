#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/image/volume_reader.h"

namespace wholemount::cli {

/// Values of one channel. Mean, minimum and maximum are those of the finite voxels; absent when
/// there are none.
struct ChannelStatistics {
  std::optional<double> minimum;
  std::optional<double> maximum;
  std::optional<double> mean;
  int64_t zeros = 0;
  int64_t non_finite = 0;
  std::array<int64_t, 3> first_non_finite{};  ///< [d, h, w]; with non_finite > 0
  /// Voxels of each value from 0 to 255; only while every voxel is such a whole number.
  std::optional<std::array<int64_t, 256>> histogram;
};

struct VoxelStatistics {
  std::vector<ChannelStatistics> channels;
  /// SHA-256 of all values as float32, little endian, in the order [c, d, h, w]: equal for files
  /// that hold the same voxels in whatever encoding.
  std::string digest;
};

/// Reads a volume once, plane by plane, and verifies its checksum. Memory: one plane of float32.
/// Throws FileError where the payload is cut off or damaged.
[[nodiscard]] VoxelStatistics voxel_statistics(VolumeReader& reader);

}  // namespace wholemount::cli
