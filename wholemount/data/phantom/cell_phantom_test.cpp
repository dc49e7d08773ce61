#include "wholemount/data/phantom/cell_phantom.h"

#include <gtest/gtest.h>

#include <numeric>

#include "wholemount/base/error.h"
#include "wholemount/data/dataset.h"
#include "wholemount/data/phantom/cell_dataset.h"
#include "wholemount/image/tiff_reader.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

std::vector<uint16_t> draw(const CellFieldSpec& spec) {
  std::vector<uint16_t> pixels(static_cast<size_t>(3 * spec.height * spec.width));
  draw_cell_field(spec, pixels);
  return pixels;
}

TEST(CellPhantom, a_field_is_a_function_of_its_spec) {
  const CellFieldSpec spec{64, 96, 3, 7, 1, 5};
  EXPECT_EQ(draw(spec), draw(spec));
  for (int change = 0; change < 4; ++change) {
    CellFieldSpec other = spec;
    if (change == 0) other.phenotype = 4;
    if (change == 1) other.seed = 8;
    if (change == 2) other.plate = 2;
    if (change == 3) other.field = 6;
    EXPECT_NE(draw(other), draw(spec));
  }
}

TEST(CellPhantom, shows_cells_on_a_background_in_every_channel) {
  for (int64_t phenotype = 0; phenotype < kMostPhenotypes; phenotype += 7) {
    const std::vector<uint16_t> pixels = draw({128, 160, phenotype, 1, 0, 0});
    for (int channel = 0; channel < 3; ++channel) {
      std::vector<uint16_t> values(pixels.begin() + channel * 128 * 160,
                                   pixels.begin() + (channel + 1) * 128 * 160);
      std::sort(values.begin(), values.end());
      // Cells cover a good part; noise alone spreads by less than 200.
      EXPECT_GT(values[values.size() * 97 / 100], values[values.size() / 50] + 400);
      EXPECT_LT(values.back(), 65535);
    }
  }
}

TEST(CellPhantom, refuses_what_it_cannot_draw) {
  std::vector<uint16_t> pixels(3 * 64 * 64);
  EXPECT_THROW(draw_cell_field({64, 64, kMostPhenotypes, 1, 0, 0}, pixels), ConfigError);
  EXPECT_THROW(draw_cell_field({16, 64, 0, 1, 0, 0}, pixels), ConfigError);
}

TEST(CellDataset, is_read_as_bbbc021_with_equal_classes_and_whole_wells) {
  const testing::TemporaryFolder folder;
  ThreadPool pool(2);
  CellDatasetSpec spec;
  spec.root = folder.path();
  spec.num_images = 60;
  spec.height = 40;
  spec.width = 48;
  spec.classes = 3;
  spec.seed = 2;
  int64_t last = 0;
  write_cell_dataset(spec, &pool, [&](int64_t done) { last = done; });
  EXPECT_EQ(last, 60);
  const Dataset dataset = open_dataset(folder.path());
  EXPECT_EQ(dataset.layout, DatasetLayout::bbbc021);
  EXPECT_EQ(dataset.classes, (std::vector<std::string>{"DMSO", "phenotype 01", "phenotype 02"}));
  ASSERT_EQ(dataset.cases.size(), 60U);
  std::map<std::string, std::set<int64_t>> classes_of_well;
  std::vector<int64_t> counts(3, 0);
  for (const Case& field : dataset.cases) {
    classes_of_well[field.groups.at("well")].insert(field.class_index);
    ++counts[static_cast<size_t>(field.class_index)];
  }
  EXPECT_EQ(counts, (std::vector<int64_t>{20, 20, 20}));
  EXPECT_EQ(classes_of_well.size(), 15U);
  for (const auto& [well, classes] : classes_of_well) EXPECT_EQ(classes.size(), 1U);
  // The pixels are those of the field drawn alone.
  const Case& field = dataset.cases[9];
  const std::vector<uint16_t> pixels = draw({40, 48, field.class_index, 2, 0, 9});
  TiffReader reader(field.channels[1].path);
  std::vector<float> values(40 * 48);
  reader.read_planes({0, 0, 1}, values);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(values[i], static_cast<float>(pixels[40 * 48 + i]));
  }
}

}  // namespace
}  // namespace wholemount
