#include "wholemount/data/dataset_survey.h"

#include "wholemount/data/dataset_test_support.h"

namespace wholemount {
namespace {

using testing::make_brain_dataset;
using testing::make_header;
using testing::TemporaryFolder;
using testing::write_bytes;
using testing::write_test_image;
using testing::write_test_label;

constexpr Extent3 kExtent{4, 5, 6};

std::vector<std::string> messages(const DatasetSurvey& survey, bool refused) {
  std::vector<std::string> result;
  for (const DatasetProblem& problem : survey.problems) {
    if (problem.refused == refused) result.push_back(problem.message);
  }
  return result;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class Survey : public ::testing::Test {
 protected:
  DatasetSurvey survey(const Dataset& dataset, int threads = 1, std::optional<int64_t> most = {}) {
    ThreadPool pool(threads);
    return survey_dataset(dataset, {most, {}}, pool);
  }
  TemporaryFolder folder_;
};

TEST_F(Survey, a_sound_data_set_has_shapes_values_and_volumes_and_no_problems) {
  const Dataset dataset = make_brain_dataset(folder_, {kExtent, kExtent, {2, 5, 6}});
  const DatasetSurvey result = survey(dataset);
  EXPECT_TRUE(result.problems.empty());
  EXPECT_EQ(result.cases_read, 3);
  EXPECT_EQ(result.voxels_read, 4 * (120 + 120 + 60));
  EXPECT_EQ((result.shapes.at({4, 5, 6})), 2);
  EXPECT_EQ((result.shapes.at({2, 5, 6})), 1);
  EXPECT_EQ(result.sizes->smallest[0], 2);
  EXPECT_EQ(result.sizes->largest[0], 4);

  // The same voxels counted the plain way.
  std::vector<float> values;
  std::array<int64_t, 4> labels{};
  for (const int64_t depth : {4, 4, 2}) {
    for (int64_t d = 0; d < depth; ++d) {
      for (int64_t h = 0; h < 5; ++h) {
        for (int64_t w = 0; w < 6; ++w) {
          values.push_back(testing::test_intensity(1, d, h, w));
          ++labels[testing::test_label(d, h, w)];
        }
      }
    }
  }
  std::sort(values.begin(), values.end());
  const ChannelSurvey& channel = result.channels[1];
  EXPECT_EQ(channel.name, "T1w");
  EXPECT_EQ(channel.voxels, 300);
  EXPECT_EQ(channel.zeros, std::count(values.begin(), values.end(), 0.0F));
  EXPECT_EQ(channel.minimum, static_cast<double>(values.front()));
  EXPECT_EQ(channel.maximum, static_cast<double>(values.back()));
  // Whole numbers below 100: exact. Rank ceil(0.5 * 300) = 150, counted from 1.
  EXPECT_EQ(channel.percentiles[2], static_cast<double>(values[149]));
  ASSERT_EQ(result.labels.size(), 4U);
  for (size_t value = 0; value < 4; ++value) {
    EXPECT_EQ(result.labels[value].voxels, labels[value]);
    EXPECT_EQ(result.labels[value].cases, 3);
    // 1 mm^3 a voxel.
    EXPECT_NEAR(result.labels[value].mean_ml, static_cast<double>(labels[value]) / 3000, 1e-12);
  }
}

TEST_F(Survey, every_kind_of_damage_is_a_problem_of_its_case_and_the_others_are_read) {
  const Dataset dataset = make_brain_dataset(folder_, std::vector<Extent3>(6, kExtent));
  std::vector<std::byte> cut = testing::read_bytes(folder_ / "imagesTr/c0.nii.gz");
  cut.resize(cut.size() - 30);
  write_bytes(folder_ / "imagesTr/c0.nii.gz", cut);
  write_test_label(folder_ / "labelsTr/c1.nii.gz", {4, 5, 7});
  std::vector<uint8_t> odd(120, 0);
  odd[31] = 9;
  write_label_map(folder_ / "labelsTr/c2.nii.gz", make_header(kExtent, VoxelType::u8), odd);
  std::vector<float> values(480, 2.0F);
  values[120 + 37] = std::nanf("");
  write_bytes(folder_ / "imagesTr/c3.nii.gz",
              testing::gzip(testing::make_nifti(make_header(kExtent, VoxelType::f32, 4), values)));
  write_test_image(folder_ / "imagesTr/c4.nii.gz", kExtent, 3);
  const DatasetSurvey result = survey(dataset);
  const std::vector<std::string> refused = messages(result, true);
  ASSERT_EQ(refused.size(), 5U);
  EXPECT_TRUE(contains(refused[0], "c0.nii.gz")) << refused[0];
  EXPECT_TRUE(contains(refused[1], "labelsTr/c1.nii.gz: has shape 4x5x7")) << refused[1];
  EXPECT_TRUE(contains(refused[2], "label 9, the first at [1, 0, 1]")) << refused[2];
  EXPECT_TRUE(contains(refused[3], "channel 1: 1 voxels are NaN")) << refused[3];
  EXPECT_TRUE(contains(refused[3], "[1, 1, 1]")) << refused[3];
  EXPECT_TRUE(contains(refused[4], "c4.nii.gz: has 3 channels")) << refused[4];
  // Channels 0, 2 and 3 of case 3 have one value only.
  EXPECT_EQ(messages(result, false).size(), 3U);
  EXPECT_EQ(result.channels[1].non_finite, 1);
  EXPECT_EQ(result.labels.back().value, 9);
  EXPECT_EQ(result.labels.back().name, "");
}

TEST_F(Survey, the_result_does_not_depend_on_threads) {
  const Dataset dataset = make_brain_dataset(folder_, std::vector<Extent3>(7, kExtent));
  const DatasetSurvey one = survey(dataset, 1);
  const DatasetSurvey three = survey(dataset, 3);
  for (size_t channel = 0; channel < 4; ++channel) {
    EXPECT_EQ(one.channels[channel].mean, three.channels[channel].mean);
    EXPECT_EQ(one.channels[channel].percentiles, three.channels[channel].percentiles);
  }
  EXPECT_EQ(one.labels[1].voxels, three.labels[1].voxels);
}

TEST_F(Survey, some_cases_stand_for_all_where_asked) {
  const Dataset dataset = make_brain_dataset(folder_, std::vector<Extent3>(7, kExtent));
  const DatasetSurvey result = survey(dataset, 2, 3);
  EXPECT_EQ(result.cases_read, 3);
  EXPECT_EQ(result.channels[0].voxels, 360);
  EXPECT_EQ((result.shapes.at({4, 5, 6})), 7) << "every header is read";
}

TEST_F(Survey, a_declared_label_in_no_case_is_noted_when_all_are_read) {
  const Dataset dataset = make_brain_dataset(folder_, std::vector<Extent3>(2, kExtent));
  for (const char* name : {"labelsTr/c0.nii.gz", "labelsTr/c1.nii.gz"}) {
    write_label_map(folder_ / name, make_header(kExtent, VoxelType::u8),
                    std::vector<uint8_t>(120, 1));
  }
  const DatasetSurvey result = survey(dataset);
  const std::vector<std::string> notes = messages(result, false);
  ASSERT_EQ(notes.size(), 3U);
  EXPECT_TRUE(contains(notes[2], "label 3 (enhancing tumour)")) << notes[2];
}

}  // namespace
}  // namespace wholemount
