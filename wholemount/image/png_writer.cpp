#include "wholemount/image/png_writer.h"

#include <png.h>

#include <algorithm>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"

namespace wholemount {

namespace {

constexpr int64_t kMaxSide = 65535;

void check(const IndexedImage& image) {
  if (image.width < 1 || image.height < 1 || image.width > kMaxSide || image.height > kMaxSide ||
      static_cast<int64_t>(image.pixels.size()) != image.width * image.height) {
    throw ShapeError("a PNG of " + std::to_string(image.width) + " x " +
                     std::to_string(image.height) + " from " + std::to_string(image.pixels.size()) +
                     " pixels: wanted sides of 1 to 65535 "
                     "and one byte a pixel");
  }
  WM_CHECK(image.palette.size() <= 256, "a PNG palette has at most 256 colours");
  WM_CHECK(image.palette.empty() ||
               *std::max_element(image.pixels.begin(), image.pixels.end()) < image.palette.size(),
           "every pixel is an index into the palette");
}

}  // namespace

std::string encode_png(const IndexedImage& image) {
  check(image);
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.palette.empty() ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB_COLORMAP;
  png.colormap_entries = static_cast<png_uint_32>(image.palette.size());
  const void* colormap = image.palette.empty() ? nullptr : image.palette.data();

  // Room for what libpng may need at most, so that one call suffices.
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(png) + 4096, '\0');
  png_alloc_size_t size = bytes.size();
  const int done =
      png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, colormap);
  const std::string message = png.message;
  png_image_free(&png);
  WM_CHECK(done != 0, "libpng: " + message);
  bytes.resize(size);
  return bytes;
}

void write_png(const std::string& path, const IndexedImage& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace wholemount
