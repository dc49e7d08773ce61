#include "wholemount/image/nifti_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::gzip;
using testing::make_header;
using testing::make_nifti;
using testing::poke;
using testing::TemporaryFolder;
using testing::write_bytes;

NiftiReader open(std::vector<std::byte> bytes) {
  return NiftiReader(open_memory_source(std::move(bytes), "memory.nii"));
}

std::vector<float> read_all(NiftiReader* reader, int64_t channel = 0) {
  const Extent3& extent = reader->header().extent;
  std::vector<float> values(static_cast<size_t>(volume(extent)));
  reader->read_planes({channel, 0, extent.d}, values);
  return values;
}

template <class T>
std::vector<T> counting(size_t count) {
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<T>(i % 120);
  return values;
}

template <class T>
void expect_type_reads_back(VoxelType type) {
  SCOPED_TRACE(voxel_type_name(type));
  const auto voxels = counting<T>(24);
  auto bytes = make_nifti(make_header({2, 3, 4}, type), voxels);
  NiftiReader little = open(bytes);
  const std::vector<float> expected(voxels.begin(), voxels.end());
  EXPECT_EQ(read_all(&little), expected);
}

TEST(NiftiReader, every_integer_and_float_type_reads_its_values) {
  expect_type_reads_back<uint8_t>(VoxelType::u8);
  expect_type_reads_back<int8_t>(VoxelType::i8);
  expect_type_reads_back<uint16_t>(VoxelType::u16);
  expect_type_reads_back<int16_t>(VoxelType::i16);
  expect_type_reads_back<uint32_t>(VoxelType::u32);
  expect_type_reads_back<int32_t>(VoxelType::i32);
  expect_type_reads_back<uint64_t>(VoxelType::u64);
  expect_type_reads_back<int64_t>(VoxelType::i64);
  expect_type_reads_back<float>(VoxelType::f32);
  expect_type_reads_back<double>(VoxelType::f64);
}

TEST(NiftiReader, binary128_voxels_are_rounded_to_float) {
  // 1, -2.5 and 2^-100 as sign, 15-bit exponent, 112-bit fraction.
  const std::vector<uint64_t> words{0, 0x3fff000000000000, 0, 0xc000400000000000,
                                    0, 0x3f9b000000000000};
  NiftiReader reader = open(make_nifti(make_header({1, 1, 3}, VoxelType::f128), words));
  EXPECT_EQ(read_all(&reader), (std::vector<float>{1.0F, -2.5F, std::ldexp(1.0F, -100)}));
}

TEST(NiftiReader, big_endian_files_read_the_same_values_and_geometry) {
  VolumeHeader header = make_header({1, 2, 3}, VoxelType::i16);
  header.geometry = geometry_from_spacing({3.0, 2.0, 1.5});
  const std::vector<int16_t> voxels{-300, 2, 3, 4, 5, 600};
  auto bytes = make_nifti(header, voxels);
  // Swap by field: the 4-byte and 2-byte fields of the NIfTI-1 header that readers use.
  const auto swap = [&](size_t at, size_t size, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      std::reverse(bytes.begin() + static_cast<int64_t>(at + i * size),
                   bytes.begin() + static_cast<int64_t>(at + (i + 1) * size));
    }
  };
  swap(0, 4, 1);     // sizeof_hdr
  swap(40, 2, 8);    // dim
  swap(70, 2, 2);    // datatype, bitpix
  swap(76, 4, 8);    // pixdim
  swap(108, 4, 3);   // vox_offset, slope, intercept
  swap(252, 2, 2);   // form codes
  swap(256, 4, 18);  // quaternion, offset, srow
  swap(352, 2, 6);   // voxels
  NiftiReader reader = open(bytes);
  EXPECT_TRUE(reader.header().big_endian);
  EXPECT_EQ(reader.header().geometry.spacing_mm, (std::array<double, 3>{3.0, 2.0, 1.5}));
  EXPECT_EQ(reader.header().geometry.nifti, header.geometry.nifti);
  EXPECT_EQ(read_all(&reader), std::vector<float>(voxels.begin(), voxels.end()));
}

TEST(NiftiReader, slope_and_intercept_are_applied_and_slope_zero_means_none) {
  VolumeHeader header = make_header({1, 1, 3}, VoxelType::i16);
  header.slope = 0.5;
  header.intercept = -10.0;
  const std::vector<int16_t> voxels{0, 3, -4};
  NiftiReader scaled = open(make_nifti(header, voxels));
  EXPECT_EQ(read_all(&scaled), (std::vector<float>{-10.0F, -8.5F, -12.0F}));
  header.slope = 0.0;
  NiftiReader zero = open(make_nifti(header, voxels));
  EXPECT_EQ(read_all(&zero), (std::vector<float>{0.0F, 3.0F, -4.0F}));
  EXPECT_FALSE(zero.header().scaled());
  header.slope = std::numeric_limits<double>::quiet_NaN();
  NiftiReader nan = open(make_nifti(header, voxels));
  EXPECT_FALSE(nan.header().scaled());
}

TEST(NiftiReader, regions_of_compressed_files_equal_the_whole_in_any_order) {
  const TemporaryFolder folder;
  const Extent3 extent{7, 5, 6};
  const auto voxels = counting<int16_t>(static_cast<size_t>(volume(extent)) * 2);
  const std::string path = folder / "scan.nii.gz";
  write_bytes(path, gzip(make_nifti(make_header(extent, VoxelType::i16, 2), voxels)));
  NiftiReader reader(path);
  EXPECT_EQ(reader.header().channels, 2);
  for (const PlaneRange range : {PlaneRange{1, 2, 3}, PlaneRange{0, 0, 7}, PlaneRange{0, 6, 1},
                                 PlaneRange{1, 6, 1}, PlaneRange{0, 1, 2}}) {
    std::vector<float> values(static_cast<size_t>(range.count * 30));
    reader.read_planes(range, values);
    for (size_t i = 0; i < values.size(); ++i) {
      const auto at = static_cast<size_t>((range.channel * 7 + range.first) * 30) + i;
      ASSERT_EQ(values[i], static_cast<float>(voxels[at]));
    }
  }
}

TEST(NiftiReader, concatenated_gzip_members_are_one_stream) {
  const auto whole = make_nifti(make_header({3, 4, 5}, VoxelType::u8), counting<uint8_t>(60));
  const std::span<const std::byte> bytes(whole);
  auto content = gzip(bytes.first(375));
  const auto second = gzip(bytes.subspan(375));
  content.insert(content.end(), second.begin(), second.end());
  NiftiReader reader = open(content);
  EXPECT_EQ(read_all(&reader)[59], 59.0F);
}

TEST(NiftiReader, header_extensions_are_skipped) {
  auto bytes = make_nifti(make_header({1, 1, 2}, VoxelType::u8), std::vector<uint8_t>{7, 8});
  bytes.insert(bytes.begin() + 352, 16, std::byte{0x55});
  poke(&bytes, 348, uint8_t{1});
  poke(&bytes, 108, 368.0F);
  NiftiReader reader = open(bytes);
  EXPECT_EQ(read_all(&reader), (std::vector<float>{7, 8}));
}

TEST(NiftiReader, nifti_2_is_read) {
  VolumeHeader header = make_header({2, 1, 2}, VoxelType::f32);
  header.geometry.nifti.version = 2;
  NiftiReader reader = open(make_nifti(header, std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(reader.header().data_offset, 544);
  EXPECT_EQ(read_all(&reader), (std::vector<float>{1, 2, 3, 4}));
}

TEST(NiftiReader, pairs_are_opened_by_either_half) {
  const TemporaryFolder folder;
  auto header = make_nifti(make_header({1, 2, 2}, VoxelType::u8), std::vector<uint8_t>{});
  poke(&header, 345, 'i');
  poke(&header, 346, '1');
  poke(&header, 108, 0.0F);
  write_bytes(folder / "a.hdr", header);
  const std::vector<std::byte> voxels{std::byte{9}, std::byte{8}, std::byte{7}, std::byte{6}};
  write_bytes(folder / "a.img.gz", gzip(voxels));
  for (const char* name : {"a.hdr", "a.img", "a.img.gz"}) {
    NiftiReader reader(folder / name);
    EXPECT_EQ(read_all(&reader), (std::vector<float>{9, 8, 7, 6})) << name;
  }
  write_bytes(folder / "single.nii", header);
  WM_EXPECT_ERROR(NiftiReader(folder / "single.nii"), FileError, "pair");
}

TEST(NiftiReader, labels_are_exact_and_other_values_are_refused_with_their_position) {
  const Extent3 extent{2, 1, 2};
  std::vector<uint8_t> labels(4);
  NiftiReader floats =
      open(make_nifti(make_header(extent, VoxelType::f32), std::vector<float>{0, 1, 255, 3}));
  floats.read_labels({0, 0, 2}, labels);
  EXPECT_EQ(labels, (std::vector<uint8_t>{0, 1, 255, 3}));
  NiftiReader fraction =
      open(make_nifti(make_header(extent, VoxelType::f32), std::vector<float>{0, 1, 2, 2.5F}));
  WM_EXPECT_ERROR(fraction.read_labels({0, 0, 2}, labels), FileError, "voxel [1, 0, 1]");
  NiftiReader large = open(
      make_nifti(make_header(extent, VoxelType::i32), std::vector<int32_t>{0, 256, -70000, 1}));
  WM_EXPECT_ERROR(large.read_labels({0, 0, 2}, labels), FileError, "256");
  std::vector<int32_t> wide(4);
  large.read_labels({0, 0, 2}, wide);
  EXPECT_EQ(wide, (std::vector<int32_t>{0, 256, -70000, 1}));
  NiftiReader nan =
      open(make_nifti(make_header({1, 1, 1}, VoxelType::f32), std::vector<float>{std::nanf("")}));
  WM_EXPECT_ERROR(nan.read_labels({0, 0, 1}, std::span(labels).first(1)), FileError, "NaN");
}

TEST(NiftiReader, voxels_that_are_not_finite_are_refused_unless_accepted) {
  const float infinity = std::numeric_limits<float>::infinity();
  NiftiReader reader = open(make_nifti(make_header({2, 2, 2}, VoxelType::f32, 2),
                                       std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7,  //
                                                          0, 1, 2, 3, 4, -infinity, 6, 7}));
  std::vector<float> values(8);
  reader.read_planes({0, 0, 2}, values);
  WM_EXPECT_ERROR(reader.read_planes({1, 0, 2}, values), FileError,
                  "voxel [1, 0, 1] (d, h, w) of channel 1 is -infinity");
  reader.read_planes({1, 0, 2}, values, NonFinite::accept);
  EXPECT_EQ(values[5], -infinity);
  reader.verify_payload();
  WM_EXPECT_ERROR(reader.verify_payload(NonFinite::refuse), FileError, "voxel [1, 0, 1]");
  // A float64 beyond float32's range becomes infinite.
  NiftiReader wide =
      open(make_nifti(make_header({1, 1, 1}, VoxelType::f64), std::vector<double>{1e300}));
  WM_EXPECT_ERROR(wide.read_planes({0, 0, 1}, std::span(values).first(1)), FileError, "float32");
}

TEST(NiftiReader, truncated_raw_files_are_refused_when_opened) {
  auto bytes = make_nifti(make_header({4, 4, 4}, VoxelType::i16), counting<int16_t>(64));
  bytes.pop_back();
  WM_EXPECT_ERROR(open(bytes), FileError, "at byte 479");
}

TEST(NiftiReader, a_compressed_file_cut_anywhere_is_refused) {
  const auto whole =
      gzip(make_nifti(make_header({4, 4, 4}, VoxelType::i16), counting<int16_t>(64)));
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<int64_t>(size));
    EXPECT_THROW(open(cut).verify_payload(), FileError) << size;
  }
  EXPECT_NO_THROW(open(whole).verify_payload());
  auto flipped = whole;
  flipped[flipped.size() - 6] ^= std::byte{1};  // the checksum
  WM_EXPECT_ERROR(open(flipped).verify_payload(), FileError, "corrupt");
}

TEST(NiftiReader, absurd_sizes_are_refused_before_any_allocation) {
  auto bytes = make_nifti(make_header({1, 1, 1}, VoxelType::u8), std::vector<uint8_t>(48));
  ASSERT_EQ(bytes.size(), 400U);
  for (size_t axis = 1; axis <= 3; ++axis) poke(&bytes, 40 + 2 * axis, int16_t{32767});
  WM_EXPECT_ERROR(open(bytes), FileError, "can hold at most 400");
  WM_EXPECT_ERROR(open(gzip(bytes)), FileError, "can hold at most");
  VolumeHeader huge = make_header({1, 1, 1}, VoxelType::f64);
  huge.geometry.nifti.version = 2;
  auto two = make_nifti(huge, std::vector<double>{1});
  for (size_t axis = 1; axis <= 3; ++axis) poke(&two, 16 + 8 * axis, int64_t{1} << 40);
  WM_EXPECT_ERROR(open(two), FileError, "more than 2^63");
}

TEST(NiftiReader, sizes_below_one_and_two_channel_axes_are_refused) {
  const auto good = make_nifti(make_header({1, 1, 1}, VoxelType::u8), std::vector<uint8_t>{1});
  auto bytes = good;
  poke(&bytes, 42, int16_t{-5});
  WM_EXPECT_ERROR(open(bytes), FileError, "dim[1] is -5");
  bytes = good;
  poke(&bytes, 40, int16_t{8});
  WM_EXPECT_ERROR(open(bytes), FileError, "dim[0]");
  bytes = good;
  poke(&bytes, 40, int16_t{5});
  poke(&bytes, 48, int16_t{2});
  poke(&bytes, 50, int16_t{2});
  WM_EXPECT_ERROR(open(bytes), FileError, "at byte 40");
  // Sizes beyond dim[0] are not part of the volume, whatever they hold.
  bytes = good;
  poke(&bytes, 40, int16_t{3});
  poke(&bytes, 50, int16_t{-1});
  EXPECT_EQ(open(bytes).header().channels, 1);
}

TEST(NiftiReader, vox_offset_that_is_no_place_in_the_file_is_refused) {
  const auto good = make_nifti(make_header({1, 1, 1}, VoxelType::u8), std::vector<uint8_t>{1});
  for (const float offset :
       {std::numeric_limits<float>::infinity(), std::nanf(""), -352.0F, 0.0F, 352.5F, 1e30F}) {
    auto bytes = good;
    poke(&bytes, 108, offset);
    WM_EXPECT_ERROR(open(bytes), FileError, "vox_offset");
  }
  auto bytes = good;
  poke(&bytes, 108, 1e12F);
  WM_EXPECT_ERROR(open(bytes), FileError, "truncated");
}

TEST(NiftiReader, colour_complex_and_unknown_voxels_are_refused_by_name) {
  const auto good = make_nifti(make_header({1, 1, 1}, VoxelType::u8), std::vector<uint8_t>{1});
  const auto with_type = [&](int16_t code) {
    auto bytes = good;
    poke(&bytes, 70, code);
    return bytes;
  };
  WM_EXPECT_ERROR(open(with_type(128)), FileError, "RGB colour");
  WM_EXPECT_ERROR(open(with_type(2304)), FileError, "RGBA colour");
  WM_EXPECT_ERROR(open(with_type(32)), FileError, "complex");
  WM_EXPECT_ERROR(open(with_type(1)), FileError, "single bits");
  WM_EXPECT_ERROR(open(with_type(77)), FileError, "unknown datatype code 77");
}

TEST(NiftiReader, other_files_are_refused_with_a_reason) {
  const TemporaryFolder folder;
  WM_EXPECT_ERROR(NiftiReader(folder / "absent.nii"), FileError, "No such file");
  WM_EXPECT_ERROR(NiftiReader(folder.path()), FileError, "not a regular file");
  WM_EXPECT_ERROR(open(std::vector<std::byte>(10)), FileError, "inside the header");
  WM_EXPECT_ERROR(open(std::vector<std::byte>(1000)), FileError, "not a NIfTI file");
  auto analyze = make_nifti(make_header({1, 1, 1}, VoxelType::u8), std::vector<uint8_t>{1});
  poke(&analyze, 344, int32_t{0});
  WM_EXPECT_ERROR(open(analyze), FileError, "ANALYZE");
}

}  // namespace
}  // namespace wholemount
