// Facts of real files (read once with nibabel, an independent reader); skipped where absent.

#include <cmath>

#include "wholemount/image/nifti_reader.h"
#include "wholemount/image/nifti_writer.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::shared_data;
using testing::TemporaryFolder;

struct FileFacts {
  const char* name;
  Extent3 extent;
  int64_t channels;
  double sum;  ///< of float32 values over all channels
  float first;
  float largest;  ///< magnitude
  std::array<double, 12> affine;
  int64_t data_offset;
};

const FileFacts kFacts[] = {
    {"nibabel_edge_cases/anatomical.nii",
     {25, 41, 33},
     1,
     284166082.0,
     10712.0F,
     30393.0F,
     {-2, 0, 0, 32, 0, 2, 0, -40, 0, 0, 2, -16},
     352},
    {"nibabel_edge_cases/functional.nii",
     {3, 21, 17},
     20,
     77913290.39703369,
     4004.137202501297F,
     5571.621858656406F,
     {-4, 0, 0, 32, 0, 4, 0, -40, 0, 0, 8, 0},
     352},
    {"nibabel_edge_cases/standard.nii.gz",
     {7, 5, 4},
     1,
     7650.0,
     0.0F,
     255.0F,
     {1, 0, 0, 0, 0, 3, 0, 0, 0, 0, 2, 0},
     352},
    {"nibabel_edge_cases/example4d.nii.gz",
     {24, 96, 128},
     2,
     101985356.0,
     0.0F,
     1162.0F,
     {-2, 6.714715653593746e-19, 9.081024511081715e-18, 117.8551025390625, -6.714715653593746e-19,
      1.9737114906311035, -0.35552823543548584, -35.72294235229492, 8.25548088896093e-18,
      0.3232076168060303, 2.171081781387329, -7.248798370361328},
     416},
    {"nibabel_edge_cases/example_nifti2.nii.gz",
     {12, 20, 32},
     2,
     6926802.0,
     424.0F,
     757.0F,
     {-2, 6.714715653593746e-19, 9.081024511081715e-18, 117.8551025390625, -6.714715653593746e-19,
      1.9737114906311035, -0.35552823543548584, -35.72294235229492, 8.25548088896093e-18,
      0.3232076168060303, 2.171081781387329, -7.248798370361328},
     608},
    {"msd_task05_prostate/imagesTr/prostate_18.nii.gz",
     {18, 256, 256},
     2,
     652007198.0,
     656.0F,
     3113.0F,
     {0.75, 7.2630534399265034e-12, -1.740095290081456e-10, -91.16100311279297,
      7.2630534399265034e-12, 0.6791767477989197, 1.69679594039917, -81.75997161865234,
      3.26267866890273e-11, -0.31814923882484436, 3.6222760677337646, 54.932655334472656},
     352},
    {"brats2021/BraTS2021_00006/BraTS2021_00006_flair.nii.gz",
     {155, 240, 240},
     1,
     1983200985.0,
     0.0F,
     4050.0F,
     {-1, 0, 0, 0, 0, -1, 0, 239, 0, 0, 1, 0},
     352},
    {"Task04_Hippocampus/imagesTr/hippocampus_001.nii.gz",
     {35, 51, 35},
     1,
     3968524.0,
     42.0F,
     139.0F,
     {1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1},
     352},
};

TEST(RealFiles, read_to_the_voxels_and_the_affine_an_independent_reader_gives) {
  WM_NEED_SHARED_DATA(shared_data() + "/nibabel_edge_cases");
  for (const FileFacts& facts : kFacts) {
    SCOPED_TRACE(facts.name);
    NiftiReader reader(shared_data() + "/" + facts.name);
    const VolumeHeader& header = reader.header();
    EXPECT_EQ(header.extent, facts.extent);
    EXPECT_EQ(header.channels, facts.channels);
    EXPECT_EQ(header.data_offset, facts.data_offset);
    for (size_t i = 0; i < 12; ++i) {
      EXPECT_EQ(header.geometry.affine_mm[i / 4][i % 4], facts.affine[i]) << i;
    }
    std::vector<float> values(static_cast<size_t>(volume(header.extent)));
    double sum = 0;
    float largest = 0;
    for (int64_t channel = 0; channel < header.channels; ++channel) {
      reader.read_planes({channel, 0, header.extent.d}, values);
      if (channel == 0) {
        EXPECT_EQ(values[0], facts.first);
      }
      for (const float value : values) {
        sum += static_cast<double>(value);
        largest = std::max(largest, std::abs(value));
      }
    }
    // Terms of one sign in float64: error below count * 2^-53 of the sum, under 1e-9 of it here.
    EXPECT_NEAR(sum, facts.sum, 1e-9 * facts.sum);
    EXPECT_EQ(largest, facts.largest);
  }
}

TEST(RealFiles, written_label_maps_keep_every_geometry_field) {
  WM_NEED_SHARED_DATA(shared_data() + "/nibabel_edge_cases");
  const TemporaryFolder folder;
  for (const FileFacts& facts : kFacts) {
    SCOPED_TRACE(facts.name);
    const VolumeHeader header = NiftiReader(shared_data() + "/" + facts.name).header();
    if (volume(header.extent) > 1'000'000) continue;  // seconds of compression add nothing
    const std::vector<uint8_t> labels(static_cast<size_t>(volume(header.extent)), 1);
    write_label_map(folder / "labels.nii.gz", header, labels);
    EXPECT_EQ(NiftiReader(folder / "labels.nii.gz").header().geometry.nifti, header.geometry.nifti);
  }
}

}  // namespace
}  // namespace wholemount
