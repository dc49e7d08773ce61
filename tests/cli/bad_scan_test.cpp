// Damaged and absurd scans given to the program: exit 3, the path, the place, the reason.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/cli/run_binary.h"

namespace wholemount::testing {
namespace {

constexpr Extent3 kExtent{2, 3, 4};
constexpr size_t kDimField = 40;          // of NIfTI-1, int16
constexpr size_t kVoxOffsetField = 108;   // of NIfTI-1, float32
constexpr size_t kDimField2 = 16;         // of NIfTI-2, int64
constexpr size_t kVoxOffsetField2 = 168;  // of NIfTI-2, int64

std::vector<std::byte> floats(const std::vector<float>& voxels, int version = 1) {
  VolumeHeader header = make_header(kExtent, VoxelType::f32);
  header.geometry.nifti.version = version;
  return make_nifti(header, voxels);
}

class BadScan : public ::testing::Test {
 protected:
  CommandResult info(const std::vector<std::byte>& bytes, const std::string& name = "scan.nii") {
    write_bytes(folder_ / name, bytes);
    return run_binary({"info", folder_ / name});
  }
  TemporaryFolder folder_;
  const std::vector<std::byte> good_ = floats(std::vector<float>(24, 1.5F));
};

TEST_F(BadScan, a_gz_cut_anywhere_is_exit_3_and_called_truncated) {
  const std::vector<std::byte> whole = gzip(good_);
  ASSERT_EQ(info(whole, "scan.nii.gz").exit_code, 0);
  // In the gzip header, in the compressed data, in the checksum.
  for (const size_t kept : {size_t{5}, whole.size() / 2, whole.size() - 3}) {
    SCOPED_TRACE(kept);
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<int64_t>(kept));
    expect_failure(info(cut, "scan.nii.gz"), 3, {folder_ / "scan.nii.gz", "at byte", "truncated"});
  }
}

TEST_F(BadScan, a_gz_whose_content_changed_is_exit_3) {
  std::vector<std::byte> bytes = gzip(good_);
  bytes[bytes.size() - 8] ^= std::byte{1};  // the checksum
  expect_failure(info(bytes, "scan.nii.gz"), 3, {"scan.nii.gz", "corrupt compressed data"});
}

TEST_F(BadScan, absurd_dimensions_in_400_bytes_are_exit_3_within_little_address_space) {
  std::vector<std::byte> bytes = good_;
  poke(&bytes, kDimField, int16_t{4});
  for (size_t axis = 1; axis <= 4; ++axis) {
    poke(&bytes, kDimField + 2 * axis, std::numeric_limits<int16_t>::max());
  }
  bytes.resize(400);
  write_bytes(folder_ / "one.nii", bytes);
  std::vector<std::byte> two = floats({}, 2);
  poke(&two, kDimField2, int64_t{3});
  for (size_t axis = 1; axis <= 3; ++axis) {
    poke(&two, kDimField2 + 8 * axis, std::numeric_limits<int64_t>::max());
  }
  write_bytes(folder_ / "two.nii", two);
  // A program that asked for what the header claims would end with exit 4 here, or die.
  const ResourceLimits limits{.address_space_kib = 400'000};
  expect_failure(run_binary({"info", folder_ / "one.nii", "--threads", "1"}, limits), 3,
                 {folder_ / "one.nii", "32767", "4611123094243246436 bytes", "at most 400"});
  expect_failure(run_binary({"info", folder_ / "two.nii", "--threads", "1"}, limits), 3,
                 {folder_ / "two.nii", "9223372036854775807"});
}

TEST_F(BadScan, a_vox_offset_that_is_no_place_in_the_file_is_exit_3) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float offset : {kInfinity, -kInfinity, std::nanf(""), 1e30F, -352.0F, 352.5F, 4.0F}) {
    SCOPED_TRACE(offset);
    std::vector<std::byte> bytes = good_;
    poke(&bytes, kVoxOffsetField, offset);
    expect_failure(info(bytes), 3, {folder_ / "scan.nii", "at byte 108", "vox_offset is"});
  }
  for (const int64_t offset : {std::numeric_limits<int64_t>::max(),
                               std::numeric_limits<int64_t>::min(), int64_t{1} << 60}) {
    SCOPED_TRACE(offset);
    std::vector<std::byte> bytes = floats(std::vector<float>(24, 1.5F), 2);
    poke(&bytes, kVoxOffsetField2, offset);
    expect_failure(info(bytes), 3, {folder_ / "scan.nii", "at byte"});
  }
  // A whole number, but beyond the end.
  std::vector<std::byte> bytes = good_;
  poke(&bytes, kVoxOffsetField, 1000.0F);
  expect_failure(info(bytes), 3, {folder_ / "scan.nii", "can hold at most 448"});
}

TEST_F(BadScan, voxels_that_are_nan_or_infinite_are_exit_3_with_their_place) {
  for (const float value : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    std::vector<float> voxels(24, 1.5F);
    voxels[17] = value;
    expect_failure(info(floats(voxels)), 3, {folder_ / "scan.nii", "1 voxels", "[1, 1, 1]"});
  }
}

TEST_F(BadScan, colours_are_refused_by_name) {
  std::vector<std::byte> bytes = good_;
  poke(&bytes, 70, int16_t{128});  // datatype RGB24
  expect_failure(info(bytes), 3, {folder_ / "scan.nii", "RGB colour", "split the file"});
}

TEST_F(BadScan, answers_that_cannot_be_written_are_exit_5) {
  write_bytes(folder_ / "scan.nii", good_);
  const std::string command = quoted(WM_BINARY) + " info --json " + quoted(folder_ / "scan.nii") +
                              " >/dev/full 2>" + quoted(folder_ / "err");
  const int status = std::system(command.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 5);
  std::ifstream err(folder_ / "err");
  const std::string text(std::istreambuf_iterator<char>(err), {});
  EXPECT_NE(text.find("standard output"), std::string::npos) << text;
}

}  // namespace
}  // namespace wholemount::testing
