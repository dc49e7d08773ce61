#include "wholemount/image/nifti_writer.h"

#include <cmath>
#include <cstring>

#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::make_header;
using testing::read_bytes;
using testing::TemporaryFolder;

VolumeHeader oblique_header() {
  VolumeHeader header = make_header({3, 2, 4}, VoxelType::i16);
  NiftiGeometryFields fields;
  fields.qform_code = 1;
  fields.sform_code = 2;
  fields.xyzt_units = 10;
  fields.dim_info = 57;
  fields.qfac = -1;
  const auto stored = [](float value) { return static_cast<double>(value); };
  fields.pixdim = {stored(0.7F), stored(0.9F), stored(2.2F)};
  fields.quaternion = {stored(0.1F), stored(-0.3F), stored(0.77F)};
  fields.qoffset = {stored(-90.3F), stored(125.7F), stored(1.0e-3F)};
  for (size_t row = 0; row < 3; ++row) {
    for (size_t column = 0; column < 4; ++column) {
      fields.srow[row][column] = stored(std::sin(static_cast<float>(4 * row + column)));
    }
  }
  header.geometry = geometry_from_fields(fields, "test");
  return header;
}

TEST(NiftiWriter, geometry_fields_survive_to_the_bit_compressed_or_not) {
  const TemporaryFolder folder;
  const VolumeHeader header = oblique_header();
  const std::vector<uint8_t> labels{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                                    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255};
  for (const char* name : {"a.nii", "a.nii.gz"}) {
    write_label_map(folder / name, header, labels);
    NiftiReader reader(folder / name);
    EXPECT_EQ(reader.header().geometry.nifti, header.geometry.nifti);
    EXPECT_EQ(reader.header().extent, header.extent);
    EXPECT_EQ(reader.header().stored, VoxelType::u8);
    std::vector<uint8_t> read(labels.size());
    reader.read_labels({0, 0, 3}, read);
    EXPECT_EQ(read, labels);
  }
}

TEST(NiftiWriter, nifti_2_sources_give_nifti_2_files) {
  const TemporaryFolder folder;
  VolumeHeader header = oblique_header();
  header.geometry.nifti.version = 2;
  header.geometry.nifti.srow[1][3] = 0.1;  // not a float32
  write_label_map(folder / "two.nii", header, std::vector<uint8_t>(24));
  EXPECT_EQ(NiftiReader(folder / "two.nii").header().geometry.nifti, header.geometry.nifti);
}

TEST(NiftiWriter, float_and_int16_channels_are_written_plane_by_plane) {
  const TemporaryFolder folder;
  const VolumeHeader header = make_header({2, 2, 2}, VoxelType::f32);
  NiftiWriter writer(folder / "p.nii.gz", header, VoxelType::f32, 2);
  const std::vector<float> plane{0.25F, -1.5F, 3.0F, 1e-30F};
  for (int64_t channel = 0; channel < 2; ++channel) {
    for (int64_t d = 0; d < 2; ++d) writer.write_planes({channel, d, 1}, plane);
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "p.nii.gz")) << "visible before finish";
  writer.finish();
  NiftiReader reader(folder / "p.nii.gz");
  EXPECT_EQ(reader.header().channels, 2);
  std::vector<float> read(8);
  reader.read_planes({1, 0, 2}, read);
  EXPECT_EQ(std::vector<float>(read.begin() + 4, read.end()), plane);

  NiftiWriter words(folder / "w.nii", header, VoxelType::i16);
  words.write_planes({0, 0, 2}, std::vector<int16_t>{-1, 2, -3, 4, 5, 6, 7, 32767});
  words.finish();
  std::vector<int32_t> numbers(8);
  NiftiReader(folder / "w.nii").read_labels({0, 0, 2}, numbers);
  EXPECT_EQ(numbers, (std::vector<int32_t>{-1, 2, -3, 4, 5, 6, 7, 32767}));
}

TEST(NiftiWriter, uncompressed_files_take_planes_in_any_order) {
  const TemporaryFolder folder;
  const VolumeHeader header = make_header({3, 1, 2}, VoxelType::u8);
  NiftiWriter writer(folder / "a.nii", header, VoxelType::u8, 2);
  writer.write_planes({1, 0, 3}, std::vector<uint8_t>{7, 8, 9, 10, 11, 12});
  writer.write_planes({0, 2, 1}, std::vector<uint8_t>{5, 6});
  WM_EXPECT_ERROR(writer.finish(), InternalError, "planes are missing");
  writer.write_planes({0, 0, 2}, std::vector<uint8_t>{1, 2, 3, 4});
  writer.finish();
  NiftiReader reader(folder / "a.nii");
  std::vector<uint8_t> read(6);
  reader.read_labels({0, 0, 3}, read);
  EXPECT_EQ(read, (std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));
  reader.read_labels({1, 0, 3}, read);
  EXPECT_EQ(read, (std::vector<uint8_t>{7, 8, 9, 10, 11, 12}));
  NiftiWriter compressed(folder / "b.nii.gz", header, VoxelType::u8);
  WM_EXPECT_ERROR(compressed.write_planes({0, 1, 1}, std::vector<uint8_t>{1, 2}), InternalError,
                  "in order");
}

TEST(NiftiWriter, an_unfinished_file_leaves_nothing_and_keeps_the_old_one) {
  const TemporaryFolder folder;
  const VolumeHeader header = make_header({1, 1, 2}, VoxelType::u8);
  write_label_map(folder / "a.nii", header, std::vector<uint8_t>{1, 2});
  const auto before = read_bytes(folder / "a.nii");
  {
    NiftiWriter writer(folder / "a.nii", header, VoxelType::u8);
    writer.write_planes({0, 0, 1}, std::vector<uint8_t>{3, 4});
  }
  EXPECT_EQ(read_bytes(folder / "a.nii"), before);
  int64_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++files;
  }
  EXPECT_EQ(files, 1);
}

TEST(NiftiWriter, equal_content_gives_equal_bytes) {
  const TemporaryFolder folder;
  const VolumeHeader header = make_header({1, 1, 2}, VoxelType::u8);
  write_label_map(folder / "a.nii.gz", header, std::vector<uint8_t>{1, 2});
  write_label_map(folder / "b.nii.gz", header, std::vector<uint8_t>{1, 2});
  EXPECT_EQ(read_bytes(folder / "a.nii.gz"), read_bytes(folder / "b.nii.gz"));
}

TEST(NiftiWriter, failures_are_output_errors_and_other_suffixes_are_refused) {
  const TemporaryFolder folder;
  const VolumeHeader header = make_header({1, 1, 1}, VoxelType::u8);
  WM_EXPECT_ERROR(write_label_map("/nonexistent-folder/a.nii", header, std::vector<uint8_t>{1}),
                  OutputError, "/nonexistent-folder/a.nii");
  WM_EXPECT_ERROR(write_label_map(folder / "a.png", header, std::vector<uint8_t>{1}), ConfigError,
                  ".nii.gz");
}

}  // namespace
}  // namespace wholemount
