#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace wholemount {

/// A picture of one byte a pixel, rows from top to bottom: grey values, or indices into `palette`
/// where there is one.
struct IndexedImage {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<uint8_t> pixels;                  ///< width * height
  std::vector<std::array<uint8_t, 3>> palette;  ///< red, green, blue; at most 256; empty: grey
};

/// The bytes of a PNG file (8 bits a pixel, sRGB). Memory: about the size of the picture.
/// Throws ShapeError for sizes that are not 1 to 65535, or do not match `pixels`; for a pixel
/// beyond the palette, InternalError.
[[nodiscard]] std::string encode_png(const IndexedImage& image);

/// Writes encode_png(image); the file appears complete or not at all. Throws OutputError.
void write_png(const std::string& path, const IndexedImage& image);

}  // namespace wholemount
