// nnU-Net, BraTS and CSV layouts.

#include "wholemount/data/csv_file.h"
#include "wholemount/data/dataset.h"
#include "wholemount/data/dataset_test_support.h"
#include "wholemount/data/load_case.h"
#include "wholemount/data/target.h"
#include "wholemount/tensor/target.h"

namespace wholemount {
namespace {

using testing::make_header;
using testing::shared_data;
using testing::TemporaryFolder;
using testing::write_test_image;
using testing::write_test_label;
using testing::write_text;

constexpr Extent3 kExtent{2, 3, 4};
using Values = std::vector<uint8_t>;

void write_labels(const std::string& path, uint8_t value) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  Values labels(24, 0);
  labels[5] = value;
  labels[6] = 1;
  write_label_map(path, make_header(kExtent, VoxelType::u8), labels);
}

void make_nnunet(const TemporaryFolder& folder, const std::string& labels) {
  for (const char* id : {"b", "a"}) {
    for (const char* channel : {"_0000", "_0001"}) {
      write_test_image(folder / ("imagesTr/" + std::string(id) + channel + ".nii.gz"), kExtent, 1);
    }
    write_test_label(folder / ("labelsTr/" + std::string(id) + ".nii.gz"), kExtent);
  }
  write_text(folder / "labelsTr/._a.nii.gz", "leftover");
  for (const char* channel : {"_0000", "_0001"}) {
    write_test_image(folder / ("imagesTs/t" + std::string(channel) + ".nii.gz"), kExtent, 1);
  }
  write_text(folder / "dataset.json",
             R"({"channel_names": {"0": "T1", "1": "noNorm"}, "labels": )" + labels +
                 R"(, "numTraining": 2, "file_ending": ".nii.gz"})");
}

TEST(NnunetLayout, cases_channels_and_labels_are_found) {
  const TemporaryFolder folder;
  make_nnunet(folder, R"({"background": 0, "one": 1, "two": 2, "three": 3})");
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_EQ(dataset.layout, DatasetLayout::nnunet);
  EXPECT_EQ(dataset.channel_names, (std::vector<std::string>{"T1", "noNorm"}));
  ASSERT_EQ(dataset.cases.size(), 2U);
  EXPECT_EQ(dataset.cases[0].id, "a");
  EXPECT_EQ(dataset.cases[0].channels[1].path, folder / "imagesTr/a_0001.nii.gz");
  EXPECT_EQ(dataset.cases[0].label, folder / "labelsTr/a.nii.gz");
  ASSERT_EQ(dataset.unlabelled.size(), 1U);
  EXPECT_EQ(dataset.unlabelled[0].id, "t");
  EXPECT_EQ(make_target(dataset, {"labels"}).num_outputs(), 4);
}

TEST(NnunetLayout, regions_and_the_ignored_label_reach_the_target) {
  const TemporaryFolder folder;
  make_nnunet(folder,
              R"({"background": 0, "Whole Tumor": [1, 2], "tumor core": [2], "ignore": 3})");
  const Dataset dataset = open_dataset(folder.path());
  const TargetDefinition target = make_target(dataset, {"whole-tumour", "tumour-core"});
  Values labels{0, 1, 2, 3};
  EXPECT_EQ(target.encode(labels), 4U);
  EXPECT_EQ(labels, (Values{0, 1, 3, kIgnoreTarget}));
}

TEST(NnunetLayout, missing_channels_and_bad_descriptions_are_file_errors) {
  const TemporaryFolder folder;
  make_nnunet(folder, R"({"background": 0, "one": 1})");
  std::filesystem::remove(folder / "imagesTr/b_0001.nii.gz");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "imagesTr/b_0001.nii.gz: is missing");
  make_nnunet(folder, R"({"background": 0, "one": 1.5})");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "whole number");
  make_nnunet(folder, R"({"background": 0, "one": 1, "ignore": 1})");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "ignore");
  make_nnunet(folder, R"({"background": 0, "region": [1, 700]})");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "outside 0 to 255");
  write_text(folder / "dataset.json",
             R"({"channel_names": {"0": "a"}, "labels": {}, "file_ending": ".png"})");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, ".png");
}

// Found by fuzzing: each ended in an exception of another kind.
TEST(MsdLayout, numbers_and_paths_beyond_the_systems_limits_are_file_errors) {
  const TemporaryFolder folder;
  const auto describe = [&](const std::string& image, const std::string& more) {
    write_text(folder / "dataset.json",
               R"({"modality": {"0": "T1"}, "labels": {"0": "b"}, "training": [{"image": ")" +
                   image + R"(", "label": "l.nii"}])" + more + "}");
  };
  describe("i.nii", R"(, "release": 1e400)");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "dataset.json: not valid JSON: ");
  describe(std::string(5000, 'x') + ".nii", "");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "is missing");
  describe("i.nii\\u0000", "");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "zero byte");
  describe("i.nii", R"(, "test": ["a\u0000b"])");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "is missing");
}

TEST(MsdLayout, a_description_nested_without_end_is_a_file_error) {
  const TemporaryFolder folder;
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  write_text(folder / "dataset.json", "{\"modality\": " + deep + ", \"training\": []}");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "nested more than 256");
}

void make_brats_case(const TemporaryFolder& folder, const std::string& id, uint8_t enhancing) {
  for (const char* part : {"_flair", "_t1", "_t1ce", "_t2"}) {
    write_test_image(folder / (id + "/" + id + part + ".nii.gz"), kExtent, 1);
  }
  write_labels(folder / (id + "/" + id + "_seg.nii.gz"), enhancing);
}

TEST(BratsLayout, folders_of_cases_are_recognised_with_channels_as_in_msd) {
  const TemporaryFolder folder;
  make_brats_case(folder, "BraTS_2", 4);
  make_brats_case(folder, "BraTS_1", 2);
  write_text(folder / "readme.txt", "not a case");
  std::filesystem::create_directories(folder / "empty");
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_EQ(dataset.layout, DatasetLayout::brats);
  ASSERT_EQ(dataset.cases.size(), 2U);
  EXPECT_EQ(dataset.cases[0].id, "BraTS_1");
  EXPECT_EQ(select_channels(dataset, {"FLAIR", "T2w"}), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(select_channels(dataset, {"t1ce", "flair"}), (std::vector<int64_t>{2, 0}));
  EXPECT_EQ(dataset.cases[1].channels[2].path, folder / "BraTS_2/BraTS_2_t1ce.nii.gz");
  EXPECT_EQ(make_target(dataset, {"tumour-core"}).outputs[0].values, (Values{1, 4}));
}

TEST(BratsLayout, the_later_numbering_and_names_are_recognised) {
  const TemporaryFolder folder;
  make_brats_case(folder, "a", 3);
  EXPECT_EQ(make_target(open_dataset(folder.path()), {"tumour-core"}).outputs[0].values,
            (Values{1, 3}));
  const TemporaryFolder later;
  for (const char* part : {"-t2f", "-t1n", "-t1c", "-t2w"}) {
    write_test_image(later / ("c/c" + std::string(part) + ".nii"), kExtent, 1);
  }
  const Dataset unlabelled = open_dataset(later.path());
  EXPECT_TRUE(unlabelled.cases.empty());
  ASSERT_EQ(unlabelled.unlabelled.size(), 1U);
  EXPECT_EQ(unlabelled.unlabelled[0].channels[0].path, later / "c/c-t2f.nii");
}

TEST(BratsLayout, a_case_without_one_channel_is_a_file_error) {
  const TemporaryFolder folder;
  make_brats_case(folder, "a", 4);
  std::filesystem::remove(folder / "a/a_t1.nii.gz");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "a_t1.nii.gz: is missing");
}

TEST(BratsLayout, real_subjects_give_tumour_regions_in_either_numbering) {
  const std::string root = shared_data() + "/brats2021";
  WM_NEED_SHARED_DATA(root);
  const Dataset dataset = open_dataset(root);
  EXPECT_EQ(dataset.layout, DatasetLayout::brats);
  ASSERT_EQ(dataset.cases.size(), 7U);
  LoadSpec spec;
  spec.channels = select_channels(dataset, {"FLAIR"});
  spec.shape.fixed = Extent3{160, 240, 240};
  spec.target = make_target(dataset, {"whole-tumour", "tumour-core", "enhancing-tumour"});
  std::vector<std::byte> memory(staging_desc(spec, {155, 240, 240}).bytes);
  const LoadedCase loaded = load_case(dataset.cases[0], {0, 0}, spec, memory);
  EXPECT_EQ(loaded.placement.valid, (Box3{{2, 0, 0}, {157, 240, 240}}));
  std::array<int64_t, 3> voxels{};
  const auto* target = reinterpret_cast<const uint8_t*>(loaded.target->origin);
  for_each_voxel(moved_box(*loaded.target, 0, loaded.placement.valid, {}), [&](int64_t at) {
    for (size_t bit = 0; bit < 3; ++bit) voxels[bit] += target[at] >> bit & 1;
  });
  // Counted with nibabel: labels 1, 2 and 4 of subject 00006.
  EXPECT_EQ(voxels, (std::array<int64_t, 3>{137911, 51954, 26448}));
}

TEST(CsvLayout, columns_name_channels_and_paths_count_from_the_file) {
  const TemporaryFolder folder;
  for (const char* name : {"x.nii", "y.nii", "z.nii"}) {
    write_test_image(folder / ("scans/" + std::string(name)), kExtent, 1);
  }
  write_test_label(folder / "labels/x l.nii.gz", kExtent);
  write_text(folder / "set.csv",
             "\xef\xbb\xbf#labels,0=background,1=one,2=two,3=three\r\n"
             "# a comment\r\n"
             "id, FLAIR ,label,T1\r\n"
             "first,scans/x.nii,\"labels/x l.nii.gz\",scans/y.nii\r\n"
             "\r\n"
             "second,scans/y.nii,,scans/z.nii");
  const Dataset dataset = open_dataset(folder / "set.csv");
  EXPECT_EQ(dataset.layout, DatasetLayout::csv);
  EXPECT_EQ(dataset.name, "set");
  EXPECT_EQ(dataset.channel_names, (std::vector<std::string>{"FLAIR", "T1"}));
  ASSERT_EQ(dataset.cases.size(), 1U);
  EXPECT_EQ(dataset.cases[0].id, "first");
  EXPECT_EQ(dataset.cases[0].channels[1].path, folder / "scans/y.nii");
  EXPECT_EQ(dataset.cases[0].label, folder / "labels/x l.nii.gz");
  ASSERT_EQ(dataset.unlabelled.size(), 1U);
  EXPECT_EQ(dataset.labels[3].name, "three");
}

TEST(CsvLayout, one_column_of_four_dimensional_images_gives_all_their_channels) {
  const TemporaryFolder folder;
  write_test_image(folder / "i.nii", kExtent, 3);
  write_labels(folder / "l.nii", 7);
  write_text(folder / "manifest.csv", "image,label\ni.nii,l.nii\n");
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_EQ(dataset.channel_names, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(dataset.cases[0].channels[2].channel, 2);
  EXPECT_EQ(dataset.cases[0].id, "i");
  // Found in the label map.
  ASSERT_EQ(dataset.labels.size(), 3U);
  EXPECT_EQ(dataset.labels[2].value, 7);
}

TEST(CsvLayout, mistakes_are_file_errors_with_the_line) {
  const TemporaryFolder folder;
  write_test_image(folder / "i.nii", kExtent, 1);
  const std::string path = folder / "m.csv";
  const auto expect = [&](const std::string& text, const char* reason) {
    write_text(path, text);
    WM_EXPECT_ERROR(open_dataset(path), FileError, reason);
  };
  expect("", "empty");
  expect("id,label\n", "no column names a channel");
  expect("a,a\n", "must be there and differ");
  expect("a,b\ni.nii\n", "line 2 has 1 fields, wanted 2");
  expect("a\nabsent.nii\n", "absent.nii: is missing");
  expect("id,a\nx,i.nii\nx,i.nii\n", "line 3: the case \"x\" is named twice");
  expect("a\n\"i.nii\n", "line 2: a quote does not end");
  expect("#labels,1\na\ni.nii\n", "form 1=name");
  expect("#labels,x=y\na\ni.nii\n", "not a whole number");
}

TEST(CsvFile, quotes_and_every_kind_of_line_end_are_read) {
  const TemporaryFolder folder;
  write_text(folder / "a.csv", "a,\"b,\"\"c\"\"\"\rd, e \n\"f\ng\",\r\n");
  const auto lines = read_csv_file(folder / "a.csv");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].fields, (std::vector<std::string>{"a", "b,\"c\""}));
  EXPECT_EQ(lines[1].fields, (std::vector<std::string>{"d", "e"}));
  EXPECT_EQ(lines[2].fields, (std::vector<std::string>{"f\ng", ""}));
}

}  // namespace
}  // namespace wholemount
