#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// Writes grey pictures of 16 bits as an uncompressed little-endian TIFF, one page a plane of
/// [d, h, w], in strips of about 64 KiB; the file appears complete or not at all. Memory: the file
/// once. Throws ShapeError when the voxels do not match the extent or exceed a TIFF's 4 GiB,
/// OutputError when the file cannot be written.
void write_tiff(const std::string& path, const Extent3& extent, std::span<const uint16_t> voxels);

/// The same of 8 bits.
void write_tiff(const std::string& path, const Extent3& extent, std::span<const uint8_t> voxels);

}  // namespace wholemount
