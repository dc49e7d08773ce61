#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wholemount {

/// What the pages (directories) of a TIFF are: planes along d, channels, or both.
struct TiffAxes {
  int64_t channels = 1;  ///< told apart by pages; samples of a pixel multiply it
  int64_t planes = 1;
  /// Page of plane d of channel c, at [c * planes + d].
  std::vector<int64_t> pages;
};

/// What one file's pages look like, as far as axes need it.
struct TiffPages {
  std::string path;         ///< for messages
  std::string description;  ///< tag ImageDescription of the first page; may be anything
  int64_t num_pages = 1;
  int64_t samples = 1;  ///< of a pixel
};

/// Reads the order of pages from OME-XML (sizes, DimensionOrder, TiffData) or from ImageJ's
/// description (channels fastest, then slices); pages without either are planes.
/// Throws FileError: several time points, pixels in other files, sizes that the pages do not have.
[[nodiscard]] TiffAxes read_tiff_axes(const TiffPages& file);

}  // namespace wholemount
