#pragma once

#include <string>

#include "wholemount/image/volume_header.h"

namespace wholemount {

/// A volume's header and where it came from.
struct NamedHeader {
  const VolumeHeader& header;
  const std::string& path;
};

/// Throws FileError naming both files unless `other` has the shape of `image` and lies at the same
/// place: no corner further apart than 5 % of the smallest voxel side. Where one of them stores no
/// orientation, only the voxel sizes can be compared.
void check_same_grid(const NamedHeader& image, const NamedHeader& other);

}  // namespace wholemount
