#include "wholemount/image/png_reader.h"

#include <gtest/gtest.h>
#include <png.h>

#include <cstdio>

#include "wholemount/image/png_writer.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::read_bytes;
using testing::TemporaryFolder;

struct PngForm {
  int bits = 8;
  int colour = PNG_COLOR_TYPE_GRAY;
  int channels = 1;
  int interlace = PNG_INTERLACE_NONE;
};

int value(int64_t h, int64_t w, int64_t c, int bits) {
  return static_cast<int>((h * 37 + w * 11 + c * 71) * (bits == 16 ? 251 : 1)) & ((1 << bits) - 1);
}

void write_png_form(const std::string& path, const PngForm& form, int64_t height, int64_t width) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_init_io(png, file);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height),
               form.bits, form.colour, form.interlace, PNG_COMPRESSION_TYPE_BASE,
               PNG_FILTER_TYPE_BASE);
  png_write_info(png, info);
  std::vector<std::vector<png_byte>> rows;
  std::vector<png_bytep> pointers;
  for (int64_t h = 0; h < height; ++h) {
    std::vector<png_byte>& row = rows.emplace_back();
    for (int64_t i = 0; i < width * form.channels; ++i) {
      const int v = value(h, i / form.channels, i % form.channels, form.bits);
      if (form.bits == 16) row.push_back(static_cast<png_byte>(v >> 8));
      row.push_back(static_cast<png_byte>(v & 255));
    }
  }
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_image(png, pointers.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  std::fclose(file);
}

TEST(PngReader, reads_grey_and_colours_of_8_and_16_bits_interlaced_or_not) {
  const TemporaryFolder folder;
  for (const int bits : {8, 16}) {
    for (const auto& [colour, channels] :
         {std::pair{PNG_COLOR_TYPE_GRAY, 1}, {PNG_COLOR_TYPE_RGB, 3}, {PNG_COLOR_TYPE_RGBA, 4}}) {
      for (const int interlace : {PNG_INTERLACE_NONE, PNG_INTERLACE_ADAM7}) {
        write_png_form(folder / "a.png", {bits, colour, channels, interlace}, 13, 17);
        PngReader reader(folder / "a.png");
        ASSERT_EQ(reader.header().extent, (Extent3{1, 13, 17}));
        ASSERT_EQ(reader.header().channels, channels);
        std::vector<float> row(17);
        for (const int64_t h : {12, 0, 5, 6, 6, 3}) {
          for (int64_t c = 0; c < channels; ++c) {
            reader.read_run({c, h * 17, 17}, row);
            for (int64_t w = 0; w < 17; ++w) {
              ASSERT_EQ(row[static_cast<size_t>(w)], static_cast<float>(value(h, w, c, bits)));
            }
          }
        }
      }
    }
  }
}

TEST(PngReader, a_palette_becomes_its_colours) {
  const TemporaryFolder folder;
  write_png(folder / "p.png", {3, 1, {0, 1, 1}, {{1, 2, 3}, {4, 5, 6}}});
  const auto reader = open_volume(folder / "p.png");
  EXPECT_EQ(reader->header().channels, 3);
  std::vector<float> row(3);
  reader->read_planes({1, 0, 1}, row);
  EXPECT_EQ(row, (std::vector<float>{2, 5, 5}));
}

TEST(PngReader, a_truncated_file_is_an_error) {
  const TemporaryFolder folder;
  write_png_form(folder / "a.png", {}, 40, 50);
  const std::vector<std::byte> bytes = read_bytes(folder / "a.png");
  for (size_t length = 0; length < bytes.size(); length += 23) {
    EXPECT_THROW(
        {
          PngReader reader(open_memory_source(
              {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}, "cut.png"));
          reader.verify_payload();
        },
        FileError)
        << length << " of " << bytes.size() << " bytes";
  }
}

}  // namespace
}  // namespace wholemount
