// Layouts of whole fields with one class each, and splits that keep what belongs together.

#include <algorithm>
#include <set>

#include "wholemount/data/dataset.h"
#include "wholemount/data/dataset_test_support.h"
#include "wholemount/data/load_case.h"
#include "wholemount/data/split.h"
#include "wholemount/image/tiff_writer.h"

namespace wholemount {
namespace {

using testing::TemporaryFolder;
using testing::write_text;

void write_field(const std::string& path, const Extent3& extent, uint16_t first) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::vector<uint16_t> voxels(static_cast<size_t>(volume(extent)));
  for (size_t i = 0; i < voxels.size(); ++i) voxels[i] = static_cast<uint16_t>(first + i);
  write_tiff(path, extent, voxels);
}

std::string image_header() {
  return "TableNumber,ImageNumber,Image_FileName_DAPI,Image_PathName_DAPI,Image_FileName_Tubulin,"
         "Image_PathName_Tubulin,Image_FileName_Actin,Image_PathName_Actin,"
         "Image_Metadata_Plate_DAPI,Image_Metadata_Well_DAPI,Replicate,Image_Metadata_Compound,"
         "Image_Metadata_Concentration\n";
}

/// A row, and its three files where the archive puts them (or the CSV says).
std::string image_row(const TemporaryFolder& folder, const std::string& week,
                      const std::string& plate, const std::string& name,
                      const std::string& compound, const std::string& concentration, bool flat) {
  std::string row = "1,1";
  const std::string at = name.find("Week") == 0 ? name.substr(name.find('_', 6) + 1) : name;
  for (const char* wave : {"_w1A", "_w2B", "_w4C"}) {
    const std::string file = name + wave + ".tif";
    row += "," + file + "," + week + "/" + plate;
    write_field(folder / ((flat ? "" : week + "/") + plate + "/" + file), {1, 3, 4}, 7);
  }
  return row + "," + plate + "," + at.substr(0, 3) + ",1," + compound + "," + concentration + "\n";
}

TEST(Bbbc021Layout, reads_both_name_styles_joins_by_number_and_drops_what_has_no_mechanism) {
  const TemporaryFolder folder;
  // Carriage returns alone end the lines of one public copy.
  write_text(folder / "BBBC021_v1_moa.csv",
             "\"compound\",concentration,\"moa\"\r\"taxol\",0.300000,\"Microtubule "
             "stabilizers\"\r\"emetine\",0.300000,\"Protein synthesis\"\rDMSO,0,DMSO\r");
  std::string rows = image_header();
  rows += image_row(folder, "Week4", "Week4_27481", "G10_s1", "emetine", ".3", false);
  rows += image_row(folder, "Week6", "Week6_31641", "Week6_200607_F10_s2", "emetine", "0.30", true);
  rows += image_row(folder, "Week6", "Week6_31641", "Week6_200607_F11_s1", "emetine", "3", true);
  rows += image_row(folder, "Week1", "Week1_22123", "Week1_150607_D05_s1", "taxol", "0.3", true);
  rows += image_row(folder, "Week1", "Week1_22123", "Week1_150607_B11_s1", "taxol", "0.3", true);
  rows += image_row(folder, "Week1", "Week1_22123", "Week1_150607_B02_s1", "DMSO", "0", true);
  rows += image_row(folder, "Week1", "Week1_22123", "Week1_150607_B02_s2", "DMSO", "0", true);
  rows += image_row(folder, "Week1", "Week1_22123", "Week1_150607_C02_s1", "DMSO", "0", true);
  write_text(folder / "BBBC021_v1_image.csv", rows);

  const Dataset all = open_dataset(folder.path(), std::nullopt, {std::nullopt, true, 1});
  EXPECT_EQ(all.layout, DatasetLayout::bbbc021);
  EXPECT_EQ(all.channel_names, (std::vector<std::string>{"DAPI", "Tubulin", "Actin"}));
  EXPECT_EQ(all.classes,
            (std::vector<std::string>{"DMSO", "Microtubule stabilizers", "Protein synthesis"}));
  ASSERT_EQ(all.cases.size(), 7U);
  const Case& second = all.cases[1];
  EXPECT_EQ(second.groups.at("plate"), "Week6_31641");
  EXPECT_EQ(second.groups.at("well"), "Week6_31641_F10");
  EXPECT_EQ(second.groups.at("site"), "2");
  EXPECT_EQ(second.groups.at("batch"), "Week6");
  EXPECT_EQ(second.groups.at("compound"), "emetine");
  EXPECT_EQ(second.class_index, 2);
  EXPECT_TRUE(second.channels[2].path.ends_with("_w4C.tif"));

  // Taxol as a control is left out, and one DMSO well of two is drawn with its sites.
  const Dataset some = open_dataset(folder.path(), std::nullopt, {1, false, 1});
  std::set<std::string> wells;
  for (const Case& field : some.cases) {
    if (field.class_index == 0) wells.insert(field.groups.at("well"));
    if (field.class_index == 1) {
      EXPECT_EQ(field.groups.at("well"), "Week1_22123_D05");
    }
  }
  EXPECT_EQ(wells.size(), 1U);

  std::filesystem::remove(second.channels[0].path);
  std::filesystem::remove(second.channels[1].path);
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "F10_s2_w1A.tif");
  write_text(folder / "BBBC021_v1_moa.csv", "compound,concentration,moa\nemetine,much,x\n");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "\"much\" is not a number");
  write_text(folder / "BBBC021_v1_moa.csv", "compound,concentration,moa\nnone,1,x\n");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "stand in moa.csv");
  write_text(folder / "BBBC021_v1_moa.csv", "compound,moa\nnone,x\n");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "no column \"concentration\"");
}

TEST(Bbbc021Layout, the_real_csvs_give_the_numbers_the_field_reports) {
  const std::string metadata = testing::shared_data() + "/bbbc021_metadata";
  WM_NEED_SHARED_DATA(metadata);
  // Without images everything else is read before the missing files are counted.
  const auto missing_of = [&](const DatasetSelection& selection) {
    try {
      (void)open_dataset(metadata, std::nullopt, selection);
    } catch (const FileError& error) {
      const std::string text = error.what();
      const size_t at = text.find(" of ") + 4;
      return std::stoll(text.substr(at)) / 3;
    }
    return -1LL;
  };
  EXPECT_EQ(missing_of({std::nullopt, true, 1}), 3848);
  EXPECT_EQ(missing_of({0, false, 1}), 1208);
  EXPECT_EQ(missing_of({}), 1684);
}

TEST(FoldersLayout, every_folder_is_a_class) {
  const TemporaryFolder folder;
  write_field(folder / "live/b.tif", {1, 3, 4}, 1);
  write_field(folder / "live/a.tif", {1, 3, 4}, 2);
  write_field(folder / "dead/a.tif", {1, 3, 4}, 3);
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_EQ(dataset.layout, DatasetLayout::folders);
  EXPECT_EQ(dataset.classes, (std::vector<std::string>{"dead", "live"}));
  ASSERT_EQ(dataset.cases.size(), 3U);
  EXPECT_EQ(dataset.cases[0].id, "dead/a");
  EXPECT_EQ(dataset.cases[2].class_index, 1);
}

TEST(CsvLayout, a_class_column_makes_whole_images_the_cases) {
  const TemporaryFolder folder;
  write_field(folder / "1.tif", {1, 3, 4}, 1);
  write_text(folder / "manifest.csv",
             "id,red,green,class,well,plate\na,1.tif,1.tif,x,A1,p\nb,1.tif,1.tif,y,A2,p\n"
             "c,1.tif,1.tif,,A3,p\n");
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_EQ(dataset.channel_names, (std::vector<std::string>{"red", "green"}));
  EXPECT_EQ(dataset.classes, (std::vector<std::string>{"x", "y"}));
  ASSERT_EQ(dataset.cases.size(), 2U);
  EXPECT_EQ(dataset.cases[1].groups.at("well"), "A2");
  EXPECT_EQ(dataset.unlabelled.size(), 1U);
  write_text(folder / "manifest.csv", "red,class,label\n1.tif,x,1.tif\n");
  WM_EXPECT_ERROR(open_dataset(folder.path()), FileError, "a label map or a class");
}

Dataset wells_dataset() {
  Dataset dataset;
  dataset.root = "fields";
  dataset.classes = {"x", "y"};
  for (int well = 0; well < 20; ++well) {
    for (int site = 0; site < 3; ++site) {
      Case field;
      field.id = std::to_string(well) + "_" + std::to_string(site);
      field.class_index = well < 15 ? 0 : 1;
      field.groups["well"] = "w" + std::to_string(well);
      dataset.cases.push_back(field);
    }
  }
  return dataset;
}

TEST(SplitDataset, a_group_is_never_divided) {
  const Dataset dataset = wells_dataset();
  SplitSpec spec;
  spec.by = "well";
  spec.train = 0.5;
  spec.validation = 0.25;
  spec.test = 0.25;
  const Split split = split_dataset(dataset, spec);
  EXPECT_EQ(split.train.size(), 30U);
  EXPECT_EQ(split.validation.size(), 15U);
  const auto wells = [&](const std::vector<int64_t>& part) {
    std::set<std::string> names;
    for (const int64_t i : part) {
      names.insert(dataset.cases[static_cast<size_t>(i)].groups.at("well"));
    }
    return names;
  };
  EXPECT_EQ(wells(split.train).size() + wells(split.validation).size() + wells(split.test).size(),
            20U);
  spec.by = "plate";
  WM_EXPECT_ERROR(split_dataset(dataset, spec), ConfigError, "no group \"plate\"");
}

TEST(SplitDataset, folds_cover_every_case_once_with_equal_shares_of_the_classes) {
  const Dataset dataset = wells_dataset();
  SplitSpec spec;
  spec.by = "well";
  spec.folds = 5;
  std::vector<int> seen(dataset.cases.size(), 0);
  for (spec.fold = 0; spec.fold < 5; ++spec.fold) {
    const Split split = split_dataset(dataset, spec);
    EXPECT_EQ(split.validation.size(), 12U);
    EXPECT_EQ(split.train.size(), 48U);
    int64_t of_y = 0;
    for (const int64_t i : split.validation) {
      ++seen[static_cast<size_t>(i)];
      of_y += dataset.cases[static_cast<size_t>(i)].class_index;
    }
    EXPECT_EQ(of_y, 3);
  }
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
  spec.fold = 5;
  WM_EXPECT_ERROR(split_dataset(dataset, spec), ConfigError, "fold 5 of 5");
}

TEST(SplitDataset, a_held_out_group_alone_validates) {
  const Dataset dataset = wells_dataset();
  SplitSpec spec;
  spec.by = "well";
  spec.hold_out = "w7";
  const Split split = split_dataset(dataset, spec);
  EXPECT_EQ(split.validation, (std::vector<int64_t>{21, 22, 23}));
  EXPECT_EQ(split.train.size(), 57U);
  spec.hold_out = "w99";
  WM_EXPECT_ERROR(split_dataset(dataset, spec), ConfigError, "no well is \"w99\"");
}

TEST(SplitDataset, a_class_without_training_images_is_refused) {
  const Dataset dataset = wells_dataset();
  Split split;
  split.train = {0, 1};
  split.validation = {50};
  WM_EXPECT_ERROR(check_classes_of_split(dataset, split), ConfigError, "class \"y\" has no image");
}

TEST(BalanceForEpoch, every_class_comes_as_often) {
  const Dataset dataset = wells_dataset();
  std::vector<int64_t> cases(60);
  for (size_t i = 0; i < cases.size(); ++i) cases[i] = static_cast<int64_t>(i);
  const std::vector<int64_t> order = balance_for_epoch(cases, dataset, 1, 0);
  ASSERT_EQ(order.size(), 60U);
  int64_t of_y = 0;
  for (const int64_t i : order) of_y += dataset.cases[static_cast<size_t>(i)].class_index;
  EXPECT_EQ(of_y, 30);
  EXPECT_EQ(order, balance_for_epoch(cases, dataset, 1, 0));
  EXPECT_NE(order, balance_for_epoch(cases, dataset, 1, 1));
}

TEST(LoadField, channels_and_class_become_tensors_and_must_agree_in_size_and_type) {
  const TemporaryFolder folder;
  write_field(folder / "a.tif", {1, 3, 4}, 10);
  write_field(folder / "b.tif", {1, 3, 4}, 50);
  write_field(folder / "small.tif", {1, 3, 3}, 0);
  Case field;
  field.id = "f";
  field.class_index = 4;
  field.channels = {{folder / "a.tif", 0}, {folder / "b.tif", 0}};
  LoadSpec spec;
  spec.channels = {1, 0};
  spec.normalise.kind = NormaliseKind::none;
  spec.shape.multiple = {1, 4, 4};
  spec.whole_image = true;
  const StagingDesc staging = staging_desc(spec, {1, 3, 4});
  EXPECT_EQ(staging.target->extent, (Extent3{1, 1, 1}));
  alignas(64) std::array<std::byte, 4096> memory{};
  ASSERT_LE(staging.bytes, memory.size());
  const LoadedCase loaded = load_case(field, {0, 0}, spec, memory);
  EXPECT_EQ(*loaded.target->at<uint8_t>(0, 0), 4);
  EXPECT_EQ(*loaded.image.at<float>(0, 0, 0, 0, 1), 51.0F);
  EXPECT_EQ(*loaded.image.at<float>(0, 1, 0, 2, 3), 21.0F);
  EXPECT_EQ(*loaded.image.at<float>(0, 1, 0, 3, 3), 0.0F);
  field.channels[1].path = folder / "small.tif";
  spec.channels = {0, 1};
  WM_EXPECT_ERROR(load_case(field, {0, 0}, spec, memory), FileError, "small.tif: has shape 1x3x3");
  write_tiff(folder / "bytes.tif", {1, 3, 4}, std::vector<uint8_t>(12, 1));
  field.channels[1].path = folder / "bytes.tif";
  WM_EXPECT_ERROR(load_case(field, {0, 0}, spec, memory), FileError, "bytes.tif: stores uint8");
}

}  // namespace
}  // namespace wholemount
