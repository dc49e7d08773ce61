#include "wholemount/image/png_writer.h"

#include <png.h>

#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::read_bytes;
using testing::TemporaryFolder;

IndexedImage stripes(bool coloured) {
  IndexedImage image;
  image.width = 5;
  image.height = 3;
  for (uint8_t i = 0; i < 15; ++i) image.pixels.push_back(i % 4);
  if (coloured) image.palette = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {10, 20, 30}};
  return image;
}

/// Red, green, blue of every pixel, as libpng reads the file.
std::vector<uint8_t> decode(const std::string& bytes, int64_t* width, int64_t* height) {
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  EXPECT_NE(png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()), 0) << png.message;
  png.format = PNG_FORMAT_RGB;
  *width = png.width;
  *height = png.height;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(png));
  EXPECT_NE(png_image_finish_read(&png, nullptr, pixels.data(), 0, nullptr), 0) << png.message;
  return pixels;
}

TEST(PngWriter, files_start_with_the_signature_and_say_their_size) {
  const std::string bytes = encode_png(stripes(true));
  ASSERT_GT(bytes.size(), 33U);
  EXPECT_EQ(bytes.substr(0, 8), "\x89PNG\r\n\x1a\n");
  EXPECT_EQ(bytes.substr(12, 4), "IHDR");
  EXPECT_EQ(bytes.substr(16, 8), std::string("\0\0\0\5\0\0\0\3", 8));
}

TEST(PngWriter, colours_survive) {
  const IndexedImage image = stripes(true);
  int64_t width = 0;
  int64_t height = 0;
  const std::vector<uint8_t> pixels = decode(encode_png(image), &width, &height);
  EXPECT_EQ(width, 5);
  EXPECT_EQ(height, 3);
  ASSERT_EQ(pixels.size(), 45U);
  for (size_t i = 0; i < 15; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(pixels[3 * i + c], image.palette[image.pixels[i]][c]) << i << " " << c;
    }
  }
}

TEST(PngWriter, without_palette_pixels_are_grey_values) {
  IndexedImage image = stripes(false);
  image.pixels[7] = 200;
  int64_t width = 0;
  int64_t height = 0;
  const std::vector<uint8_t> pixels = decode(encode_png(image), &width, &height);
  ASSERT_EQ(pixels.size(), 45U);
  EXPECT_EQ(pixels[21], 200);
  EXPECT_EQ(pixels[23], 200);
}

TEST(PngWriter, sizes_that_do_not_match_are_refused) {
  IndexedImage image = stripes(true);
  image.height = 4;
  WM_EXPECT_ERROR(encode_png(image), ShapeError, "5 x 4 from 15 pixels");
  image.height = 0;
  WM_EXPECT_ERROR(encode_png(image), ShapeError, "5 x 0");
}

TEST(PngWriter, files_hold_what_is_encoded_and_failures_name_the_path) {
  const TemporaryFolder folder;
  write_png(folder / "a.png", stripes(true));
  EXPECT_EQ(read_bytes(folder / "a.png").size(), encode_png(stripes(true)).size());
  WM_EXPECT_ERROR(write_png(folder / "absent/a.png", stripes(true)), OutputError, "absent/a.png");
}

}  // namespace
}  // namespace wholemount
