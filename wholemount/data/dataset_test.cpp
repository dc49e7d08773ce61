#include "wholemount/data/dataset.h"

#include "wholemount/data/dataset_test_support.h"

namespace wholemount {
namespace {

using testing::brain_description;
using testing::make_brain_dataset;
using testing::TemporaryFolder;
using testing::write_text;

TEST(Dataset, msd_folder_is_recognised_and_described) {
  const TemporaryFolder folder;
  const Dataset dataset = make_brain_dataset(folder, {{2, 3, 4}, {3, 3, 3}});
  EXPECT_EQ(dataset.layout, DatasetLayout::msd);
  EXPECT_EQ(dataset.name, "BRATS");
  EXPECT_EQ(dataset.channel_names, (std::vector<std::string>{"FLAIR", "T1w", "t1gd", "T2w"}));
  ASSERT_EQ(dataset.labels.size(), 4U);
  EXPECT_EQ(dataset.labels[2].name, "non-enhancing tumor");
  ASSERT_EQ(dataset.cases.size(), 2U);
  EXPECT_EQ(dataset.cases[1].id, "c1");
  EXPECT_EQ(dataset.cases[1].channels[3].channel, 3);
  EXPECT_EQ(dataset.cases[1].channels[3].path, folder / "imagesTr/c1.nii.gz");
  EXPECT_EQ(dataset.cases[1].label, folder / "labelsTr/c1.nii.gz");
  EXPECT_TRUE(dataset.unlabelled.empty()) << "absent test images are no error";
}

TEST(Dataset, archiver_leftovers_are_skipped) {
  const TemporaryFolder folder;
  make_brain_dataset(folder, {{2, 2, 2}});
  std::string text = brain_description(1);
  const std::string start = "\"training\": [";
  text.insert(text.find(start) + start.size(),
              R"({"image": "./imagesTr/._c0.nii.gz", "label": "./labelsTr/._c0.nii.gz"}, )");
  write_text(folder / "dataset.json", text);
  EXPECT_EQ(open_dataset(folder.path()).cases.size(), 1U);
}

TEST(Dataset, a_file_named_but_missing_is_an_error_with_its_path) {
  const TemporaryFolder folder;
  make_brain_dataset(folder, {{2, 2, 2}, {2, 2, 2}});
  std::filesystem::remove(folder / "labelsTr/c1.nii.gz");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "labelsTr/c1.nii.gz: is missing");
}

TEST(Dataset, malformed_descriptions_are_errors_with_a_reason) {
  const TemporaryFolder folder;
  const auto expect = [&](const std::string& text, const char* reason) {
    write_text(folder / "dataset.json", text);
    WM_EXPECT_ERROR(open_dataset(folder.path(), DatasetLayout::msd), FileError, reason);
  };
  expect("{\"training\": [", "not valid JSON");
  expect("[]", "not a JSON object");
  expect("{}", "\"modality\" is missing");
  expect(R"({"modality": {"1": "a"}, "labels": {}, "training": []})", "not 0, 1, 2");
  expect(R"({"modality": {"x": "a"}})", "\"x\" is not a whole number");
  expect(R"({"modality": {"0": "a"}, "labels": {"300": "b"}})", "outside 0 to 255");
  expect(R"({"modality": {"0": "a"}, "labels": {"1": "b", "01": "c"}})", "named twice");
  expect(R"({"modality": {"0": "a"}, "labels": {}, "training": 3})", "not a list");
  expect(R"({"modality": {"0": "a"}, "labels": {}, "training": [3]})", "not an object");
  expect(R"({"modality": {"0": "a"}, "labels": {}, "training": []})", "names no cases");
}

TEST(Dataset, other_folders_are_refused) {
  const TemporaryFolder folder;
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "known layout");
  WM_EXPECT_ERROR(open_dataset(folder / "absent"), FileError, "no such data folder");
  WM_EXPECT_ERROR(parse_layout("mds"), ConfigError, "msd");
}

TEST(Dataset, a_folder_that_is_nearly_one_is_told_what_it_lacks) {
  const TemporaryFolder folder;
  make_brain_dataset(folder, {{2, 2, 2}});
  // The folder around it, its description gone, a description of something else.
  std::filesystem::create_directories(folder / "a/b");
  std::filesystem::rename(folder / "dataset.json", folder / "a/b/dataset.json");
  WM_EXPECT_ERROR(open_dataset(folder / "a"), FileError, "did you mean " + folder / "a/b");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "dataset.json is missing");
  write_text(folder / "dataset.json", R"({"labels": {}})");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "is neither the Medical");
  write_text(folder / "scan.nii", "");
  WM_EXPECT_ERROR(open_dataset(folder / "scan.nii"), FileError, "no CSV manifest");
  std::filesystem::remove_all(folder / "a");
  std::filesystem::create_directories(folder / "c");
  write_text(folder / "c/scan.nii.gz", "");
  WM_EXPECT_ERROR(open_dataset(folder / "c"), FileError, "holds scans, but nothing says");
}

TEST(Dataset, two_layouts_in_one_folder_are_refused_unless_one_is_asked_for) {
  const TemporaryFolder folder;
  make_brain_dataset(folder, {{2, 2, 2}, {2, 2, 2}});
  write_text(folder / "manifest.csv",
             "#labels,0=b,1=x,2=y,3=z\nimage,label\nimagesTr/c1.nii.gz,labelsTr/c1.nii.gz\n");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "two data sets: one in the layout msd");
  EXPECT_EQ(open_dataset(folder.path(), DatasetLayout::csv).cases.size(), 1U);
  EXPECT_EQ(open_dataset(folder.path(), DatasetLayout::msd).cases.size(), 2U);
}

TEST(Dataset, the_first_nnunet_format_is_recognised_and_refused) {
  const TemporaryFolder folder;
  make_brain_dataset(folder, {{2, 2, 2}});
  std::filesystem::rename(folder / "imagesTr/c0.nii.gz", folder / "imagesTr/c0_0000.nii.gz");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "nnU-Net's first format");
}

TEST(Dataset, channels_are_selected_by_name_in_the_order_asked_for) {
  const TemporaryFolder folder;
  const Dataset dataset = make_brain_dataset(folder, {{1, 1, 1}});
  EXPECT_EQ(select_channels(dataset, {}), (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(select_channels(dataset, {"T2w", "FLAIR"}), (std::vector<int64_t>{3, 0}));
  WM_EXPECT_ERROR(select_channels(dataset, {"FLAIRR"}), ConfigError, "FLAIR");
  WM_EXPECT_ERROR(select_channels(dataset, {"T2w", "T2w"}), ConfigError, "twice");
}

}  // namespace
}  // namespace wholemount
