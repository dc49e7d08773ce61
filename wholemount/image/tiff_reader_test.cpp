#include "wholemount/image/tiff_reader.h"

#include <gtest/gtest.h>

#include "wholemount/base/memory.h"
#include "wholemount/image/tiff_test_support.h"
#include "wholemount/image/tiff_writer.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::read_bytes;
using testing::TemporaryFolder;
using testing::tiff_value;
using testing::TiffForm;
using testing::write_bytes;
using testing::write_test_tiff;

/// Every voxel of a file whose pages are planes and whose samples are channels.
void expect_values(const std::string& path, const TiffForm& form) {
  TiffReader reader(path);
  ASSERT_EQ(reader.header().extent, form.extent);
  ASSERT_EQ(reader.header().channels, form.samples);
  std::vector<float> plane(static_cast<size_t>(form.extent.h * form.extent.w));
  for (int64_t c = 0; c < form.samples; ++c) {
    for (int64_t d = 0; d < form.extent.d; ++d) {
      reader.read_planes({c, d, 1}, plane);
      for (int64_t i = 0; i < form.extent.h * form.extent.w; ++i) {
        ASSERT_EQ(plane[static_cast<size_t>(i)],
                  tiff_value(d, i / form.extent.w, i % form.extent.w, c))
            << "channel " << c << ", plane " << d << ", voxel " << i;
      }
    }
  }
}

TEST(TiffReader, reads_every_type_compression_byte_order_and_arrangement) {
  const TemporaryFolder folder;
  int64_t files = 0;
  for (const std::string mode : {"wl", "wb", "wl8", "wb8"}) {
    for (const uint16_t compression :
         {COMPRESSION_NONE, COMPRESSION_PACKBITS, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE}) {
      for (const uint32_t tile : {0U, 16U, 48U}) {
        for (const uint16_t planar : {PLANARCONFIG_CONTIG, PLANARCONFIG_SEPARATE}) {
          for (const uint16_t bits : {8, 16, 32, 64}) {
            TiffForm form;
            form.mode = mode;
            form.compression = compression;
            form.tile = tile;
            form.planar = planar;
            form.samples = 3;
            form.bits = bits;
            form.format = bits == 64 ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT;
            form.predictor = compression == COMPRESSION_LZW && bits == 16;
            form.extent.d = 1 + files % 3;
            form.rows_per_strip = files % 2 == 0 ? 8 : 1000;
            const std::string path = folder / (std::to_string(files++) + ".tif");
            write_test_tiff(path, form);
            SCOPED_TRACE(mode + " compression " + std::to_string(compression) + " tile " +
                         std::to_string(tile) + " planar " + std::to_string(planar) + " bits " +
                         std::to_string(bits));
            expect_values(path, form);
          }
        }
      }
    }
  }
  EXPECT_EQ(files, 4 * 4 * 3 * 2 * 4);
}

TEST(TiffReader, reads_rows_in_any_order) {
  const TemporaryFolder folder;
  for (const uint16_t compression : {COMPRESSION_NONE, COMPRESSION_LZW}) {
    for (const uint32_t tile : {0U, 16U}) {
      TiffForm form;
      form.compression = compression;
      form.tile = tile;
      form.extent = {2, 37, 53};
      const std::string path = folder / "rows.tif";
      write_test_tiff(path, form);
      TiffReader reader(path);
      for (const int64_t h : {30, 3, 36, 0, 17, 16, 17}) {
        for (const int64_t d : {1, 0}) {
          std::vector<float> piece(60);  // over the end of the row
          const int64_t first = std::min<int64_t>((d * 37 + h) * 53 + 11, 2 * 37 * 53 - 60);
          reader.read_run({0, first, 60}, piece);
          for (int64_t i = 0; i < 60; ++i) {
            const int64_t voxel = first + i;
            ASSERT_EQ(piece[static_cast<size_t>(i)],
                      tiff_value(voxel / (37 * 53), voxel / 53 % 37, voxel % 53, 0));
          }
        }
      }
    }
  }
}

TEST(TiffReader, applies_a_palette_of_colours_and_of_greys) {
  const TemporaryFolder folder;
  TiffForm form;
  form.bits = 8;
  form.photometric = PHOTOMETRIC_PALETTE;
  write_test_tiff(folder / "palette.tif", form);
  TiffReader reader(folder / "palette.tif");
  ASSERT_EQ(reader.header().channels, 3);
  std::vector<float> plane(37 * 53);
  for (int64_t c = 0; c < 3; ++c) {
    reader.read_planes({c, 0, 1}, plane);
    for (int64_t i = 0; i < 37 * 53; ++i) {
      const int index = tiff_value(0, i / 53, i % 53, 0);
      const int wanted = c == 0 ? index : (c == 1 ? 255 - index : index ^ 85);
      ASSERT_EQ(plane[static_cast<size_t>(i)], static_cast<float>(wanted));
    }
  }
}

TEST(TiffReader, imagej_and_ome_descriptions_tell_channels_from_planes) {
  const TemporaryFolder folder;
  TiffForm form;
  form.extent.d = 6;
  form.description = "ImageJ=1.53\nimages=6\nchannels=3\nslices=2\nhyperstack=true\n";
  write_test_tiff(folder / "imagej.tif", form);
  form.description =
      "<?xml version=\"1.0\"?><OME><Image><Pixels DimensionOrder=\"XYZCT\" SizeX=\"53\" "
      "SizeY=\"37\" SizeZ=\"2\" SizeC=\"3\" SizeT=\"1\"><TiffData/></Pixels></Image></OME>";
  write_test_tiff(folder / "ome.tif", form);
  std::vector<float> plane(37 * 53);
  for (const bool ome : {false, true}) {
    TiffReader reader(folder / (ome ? "ome.tif" : "imagej.tif"));
    EXPECT_EQ(reader.header().channels, 3);
    EXPECT_EQ(reader.header().extent, (Extent3{2, 37, 53}));
    reader.read_planes({2, 1, 1}, plane);
    EXPECT_EQ(plane[0], tiff_value(5, 0, 0, 0));
    reader.read_planes({1, 0, 1}, plane);
    EXPECT_EQ(plane[0], tiff_value(ome ? 2 : 1, 0, 0, 0));
  }
}

TEST(TiffReader, refuses_what_it_cannot_read_and_says_why) {
  const TemporaryFolder folder;
  const std::string path = folder / "image.tif";
  TiffForm form;
  form.bits = 16;
  form.format = SAMPLEFORMAT_IEEEFP;
  write_test_tiff(path, {});
  TIFF* tiff = TIFFOpen(path.c_str(), "wl");
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, 16U);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, 1U);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 1);
  std::vector<uint8_t> row(2);
  TIFFWriteScanline(tiff, row.data(), 0, 0);
  TIFFClose(tiff);
  WM_EXPECT_ERROR(TiffReader{path}, FileError, "samples of 1 bits");

  form = {};
  form.extent.d = 2;
  write_test_tiff(path, form);
  tiff = TIFFOpen(path.c_str(), "a");
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, 53U);
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, 37U);
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
  std::vector<uint8_t> pixels(53);
  for (uint32_t h = 0; h < 37; ++h) TIFFWriteScanline(tiff, pixels.data(), h, 0);
  TIFFClose(tiff);
  WM_EXPECT_ERROR(TiffReader{path}, FileError, "page 2 is 53 x 37 of 1 samples of 8 bits");
  write_bytes(path, std::vector<std::byte>(64, std::byte{7}));
  WM_EXPECT_ERROR(TiffReader{path}, FileError, "not a readable TIFF");
  WM_EXPECT_ERROR(TiffReader{folder / "absent.tif"}, FileError, "absent.tif");
}

TEST(TiffReader, a_truncated_file_is_an_error_when_its_missing_rows_are_read) {
  const TemporaryFolder folder;
  for (const uint16_t compression :
       {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS}) {
    for (const uint32_t tile : {0U, 16U}) {
      TiffForm form;
      form.compression = compression;
      form.tile = tile;
      const std::string path = folder / "whole.tif";
      write_test_tiff(path, form);
      std::vector<std::byte> bytes = read_bytes(path);
      for (size_t length = 0; length < bytes.size(); length += 97) {
        EXPECT_THROW(
            {
              TiffReader reader(open_memory_source(
                  {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}, "cut.tif"));
              reader.verify_payload();
            },
            FileError)
            << "compression " << compression << ", tile " << tile << ", " << length << " of "
            << bytes.size() << " bytes";
      }
    }
  }
}

TEST(TiffReader, absurd_sizes_are_refused_without_allocating_them) {
  const TemporaryFolder folder;
  for (const uint16_t compression : {COMPRESSION_NONE, COMPRESSION_LZW}) {
    const std::string path = folder / "absurd.tif";
    TiffForm form;
    form.extent = {1, 2, 3};
    form.compression = compression;
    write_test_tiff(path, form);
    std::vector<std::byte> bytes = read_bytes(path);
    // ImageWidth and ImageLength are the first entries with tags 256 and 257.
    for (size_t i = 0; i + 12 <= bytes.size(); i += 2) {
      uint16_t tag = 0;
      std::memcpy(&tag, &bytes[i], 2);
      uint16_t type = 0;
      std::memcpy(&type, &bytes[i + 2], 2);
      if ((tag == 256 || tag == 257) && (type == 3 || type == 4)) {
        const uint16_t as_long = 4;
        const uint32_t huge = 60'000'000;
        std::memcpy(&bytes[i + 2], &as_long, 2);
        std::memcpy(&bytes[i + 8], &huge, 4);
      }
    }
    const size_t before = process_memory().peak_resident_bytes;
    EXPECT_THROW(TiffReader(open_memory_source(bytes, "absurd.tif")), FileError);
    // A file of some hundred bytes and libtiff's small change.
    EXPECT_LT(process_memory().peak_resident_bytes - before, size_t{4} << 20);
  }
}

TEST(TiffWriter, what_it_writes_reads_back) {
  const TemporaryFolder folder;
  for (const Extent3& extent : {Extent3{1, 3, 5}, Extent3{1, 500, 333}, Extent3{3, 41, 7}}) {
    std::vector<uint16_t> voxels(static_cast<size_t>(volume(extent)));
    for (size_t i = 0; i < voxels.size(); ++i) voxels[i] = static_cast<uint16_t>(i * 40503);
    write_tiff(folder / "written.tif", extent, voxels);
    TiffReader reader(folder / "written.tif");
    ASSERT_EQ(reader.header().extent, extent);
    EXPECT_EQ(reader.header().stored, VoxelType::u16);
    std::vector<float> values(voxels.size());
    reader.read_planes({0, 0, extent.d}, values);
    EXPECT_TRUE(std::equal(values.begin(), values.end(), voxels.begin()));
  }
  WM_EXPECT_ERROR(write_tiff(folder / "no/such/folder.tif", {1, 1, 1}, std::vector<uint8_t>(1)),
                  OutputError, "folder.tif");
}

TEST(TiffReader, memory_for_rows_of_a_large_file_stays_small) {
  const TemporaryFolder folder;
  TiffForm form;
  form.extent = {1, 2000, 1000};
  form.rows_per_strip = 2000;  // one strip of 4 MB
  write_test_tiff(folder / "large.tif", form);
  TiffReader reader(folder / "large.tif");
  EXPECT_LT(reader.memory_bytes(), size_t{1} << 20);
}

}  // namespace
}  // namespace wholemount
