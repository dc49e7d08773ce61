#pragma once

// Private to this folder: how a page of a TIFF stores its voxels.

#include <cstdint>
#include <optional>
#include <string>

#include "wholemount/image/tiff_handle.h"
#include "wholemount/image/volume_header.h"

namespace wholemount {

/// How the voxels of one page are stored; equal for all pages of an image.
struct PageForm {
  int64_t width = 0;
  int64_t height = 0;
  int64_t samples = 1;
  int64_t bits = 8;
  int64_t format = SAMPLEFORMAT_UINT;
  int64_t planar = PLANARCONFIG_CONTIG;
  int64_t compression = COMPRESSION_NONE;
  int64_t photometric = PHOTOMETRIC_MINISBLACK;
  int64_t rows_per_strip = 0;
  int64_t tile_width = 0;  ///< 0: strips
  int64_t tile_height = 0;
  friend bool operator==(const PageForm&, const PageForm&) = default;

  [[nodiscard]] int64_t bytes() const { return bits / 8; }
  [[nodiscard]] int64_t samples_together() const {
    return planar == PLANARCONFIG_CONTIG ? samples : 1;
  }
  [[nodiscard]] int64_t row_bytes() const { return width * samples_together() * bytes(); }
};

/// The form of the current directory.
[[nodiscard]] PageForm read_page_form(const TiffHandle& handle);

/// Throws FileError for sizes that are absurd and forms that are not read.
void check_form(const PageForm& form, const std::string& path);

[[nodiscard]] std::optional<VoxelType> tiff_voxel_type(const PageForm& form);

/// "LZW", "none" ...
[[nodiscard]] std::string tiff_compression_name(int64_t compression);

/// The most bytes one stored byte can stand for; 0: no bound known.
[[nodiscard]] int64_t tiff_largest_expansion(int64_t compression);

}  // namespace wholemount
