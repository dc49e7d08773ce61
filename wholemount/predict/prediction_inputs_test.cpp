#include "wholemount/predict/prediction_inputs.h"

#include <gtest/gtest.h>

#include "wholemount/base/error.h"
#include "wholemount/data/dataset_test_support.h"

namespace wholemount {
namespace {

using testing::TemporaryFolder;
using testing::write_test_image;
using testing::write_text;

constexpr Extent3 kExtent{2, 3, 4};

/// "id: file:channel file:channel", with files counted from the folder.
std::vector<std::string> described(const std::vector<Case>& cases, const TemporaryFolder& folder) {
  std::vector<std::string> lines;
  for (const Case& one : cases) {
    std::string line = one.id + ":";
    for (const ChannelFile& file : one.channels) {
      line += " " + std::filesystem::relative(file.path, folder.path()).string() + ":" +
              std::to_string(file.channel);
    }
    lines.push_back(line);
  }
  return lines;
}

std::string error_of(const std::vector<std::string>& inputs, const PredictionChannels& channels) {
  try {
    (void)prediction_inputs(inputs, channels);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

using Lines = std::vector<std::string>;

TEST(PredictionInputs, an_image_gives_the_channels_the_model_was_trained_on) {
  const TemporaryFolder folder;
  write_test_image(folder / "scan.nii.gz", kExtent, 4);
  const auto cases_with = [&](const PredictionChannels& channels) {
    return described(prediction_inputs({folder / "scan.nii.gz"}, channels), folder);
  };
  EXPECT_EQ(cases_with({2, {3, 0}, {}, false}), (Lines{"scan: scan.nii.gz:3 scan.nii.gz:0"}));
  EXPECT_EQ(cases_with({4, {3, 0, 1, 2}, {}, false}),
            (Lines{"scan: scan.nii.gz:0 scan.nii.gz:1 scan.nii.gz:2 scan.nii.gz:3"}));
  EXPECT_NE(error_of({folder / "scan.nii.gz"}, {5, {0, 1, 2, 3, 4}, {}, false}).find("holds 4"),
            std::string::npos);
}

TEST(PredictionInputs, numbered_files_are_the_channels_of_a_case) {
  const TemporaryFolder folder;
  for (const char* name : {"b_0001", "a_0000", "b_0000", "a_0001"}) {
    write_test_image(folder / (std::string(name) + ".nii.gz"), kExtent, 1);
  }
  const PredictionChannels two{2, {0, 1}, {}, false};
  const Lines expected{"a: a_0000.nii.gz:0 a_0001.nii.gz:0", "b: b_0000.nii.gz:0 b_0001.nii.gz:0"};
  EXPECT_EQ(described(prediction_inputs({folder.path()}, two), folder), expected);
  EXPECT_EQ(described(prediction_inputs({folder / "a_0001.nii.gz", folder / "a_0000.nii.gz"}, two),
                      folder),
            (Lines{expected[0]}));
  // A model of the second channel alone takes each file for a case; numbers may count subjects.
  EXPECT_EQ(prediction_inputs({folder.path()}, {1, {1}, {}, false}).size(), 4U);
  const std::string error = error_of({folder / "a_0001.nii.gz"}, two);
  EXPECT_NE(error.find("a_0000.nii.gz"), std::string::npos) << error;
  EXPECT_NE(error.find("channel 0"), std::string::npos) << error;
}

TEST(PredictionInputs, single_channel_cases_of_nnunet_lose_their_number) {
  const TemporaryFolder folder;
  for (const char* name : {"a_0000", "b_0000"}) {
    write_test_image(folder / (std::string(name) + ".nii.gz"), kExtent, 1);
  }
  EXPECT_EQ(described(prediction_inputs({folder.path()}, {1, {0}, {}, false}), folder),
            (Lines{"a: a_0000.nii.gz:0", "b: b_0000.nii.gz:0"}));
}

TEST(PredictionInputs, folders_of_brats_cases_need_no_label_map) {
  const TemporaryFolder folder;
  for (const char* part : {"_flair", "_t1", "_t1ce", "_t2"}) {
    write_test_image(folder / (std::string("one/one") + part + ".nii.gz"), kExtent, 1);
    write_test_image(folder / (std::string("two/two") + part + ".nii.gz"), kExtent, 1);
  }
  const PredictionChannels named{2, {0, 1}, {"t1ce", "flair"}, false};
  EXPECT_EQ(described(prediction_inputs({folder.path()}, named), folder),
            (Lines{"one: one/one_t1ce.nii.gz:0 one/one_flair.nii.gz:0",
                   "two: two/two_t1ce.nii.gz:0 two/two_flair.nii.gz:0"}));
  for (const char* one : {"two", "two/"}) {
    EXPECT_EQ(described(prediction_inputs({folder / one}, named), folder),
              (Lines{"two: two/two_t1ce.nii.gz:0 two/two_flair.nii.gz:0"}));
  }
  EXPECT_NE(error_of({folder.path()}, {3, {0, 1, 2}, {}, false}).find("has 4 channels"),
            std::string::npos);
}

TEST(PredictionInputs, two_cases_of_one_name_and_folders_without_scans_are_refused) {
  const TemporaryFolder folder;
  write_test_image(folder / "here/scan.nii.gz", kExtent, 1);
  write_test_image(folder / "there/scan.nii.gz", kExtent, 1);
  const PredictionChannels one{1, {0}, {}, false};
  EXPECT_NE(error_of({folder / "here", folder / "there"}, one).find("two inputs are named scan"),
            std::string::npos);
  write_text(folder / "empty/notes.txt", "nothing");
  EXPECT_NE(error_of({folder / "empty"}, one).find("holds no .nii"), std::string::npos);
}

}  // namespace
}  // namespace wholemount
