// Fixed augmented copies: which there are, that those written out are those made while loading, and
// that splits keep them together unless asked not to.

#include "wholemount/data/field_copies.h"

#include <gtest/gtest.h>

#include <set>

#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"
#include "wholemount/data/dataset_test_support.h"
#include "wholemount/data/load_case.h"
#include "wholemount/data/split.h"
#include "wholemount/data/write_copies.h"
#include "wholemount/image/tiff_writer.h"

namespace wholemount {
namespace {

using testing::TemporaryFolder;

/// `count` fields with a folder for each of two classes.
Dataset fields_of(const TemporaryFolder& folder, const Extent3& extent, int count) {
  for (int i = 0; i < count; ++i) {
    std::vector<uint16_t> pixels;
    for (int64_t k = 0; k < volume(extent); ++k) {
      pixels.push_back(static_cast<uint16_t>(1000 * i + 7 * k % 997));
    }
    const std::string name = folder / (i % 2 == 0 ? "set/a" : "set/b");
    std::filesystem::create_directories(name);
    write_tiff(name + "/f" + std::to_string(i) + ".tif", extent, pixels);
  }
  return open_dataset(folder / "set");
}

std::vector<float> loaded_copy(const Case& copy, CopySet set, const ShapeSpec& shape,
                               const Extent3& extent) {
  LoadSpec load;
  load.channels = {0};
  load.normalise.kind = NormaliseKind::none;
  load.shape = shape;
  load.copies = set;
  load.whole_image = true;
  PageBuffer memory(staging_desc(load, extent).bytes);
  const LoadedCase loaded = load_case(copy, {0, 5}, load, {memory.data(), memory.size()});
  const Extent3& padded = loaded.placement.padded;
  std::vector<float> values;
  for (int64_t h = 0; h < padded.h; ++h) {
    const float* row = loaded.image.at<const float>(0, 0, 0, h, 0);
    values.insert(values.end(), row, row + padded.w);
  }
  return values;
}

TEST(FieldCopies, squares_have_six_and_rectangles_four_that_all_differ) {
  for (const auto& [extent, count] : {std::pair{Extent3{1, 8, 8}, 6}, {Extent3{1, 6, 8}, 4}}) {
    const TemporaryFolder folder;
    Dataset dataset = fields_of(folder, extent, 2);
    std::vector<Extent3> extents(2, extent);
    expand_copies(CopySet::quarter_turns, {}, &dataset, &extents);
    ASSERT_EQ(dataset.cases.size(), static_cast<size_t>(2 * count));
    EXPECT_EQ(extents.size(), dataset.cases.size());
    std::set<std::vector<float>> distinct;
    std::multiset<float> pixels;
    for (int i = 0; i < count; ++i) {
      const std::vector<float> values =
          loaded_copy(dataset.cases[static_cast<size_t>(i)], CopySet::quarter_turns, {}, extent);
      distinct.insert(values);
      const std::multiset<float> own(values.begin(), values.end());
      if (i == 0) pixels = own;
      EXPECT_EQ(own, pixels);  // none cut away, none invented
    }
    EXPECT_EQ(distinct.size(), static_cast<size_t>(count));
  }
}

TEST(FieldCopies, turns_by_15_degrees_and_mirrors_make_48_that_differ) {
  const TemporaryFolder folder;
  const Extent3 extent{1, 24, 30};
  Dataset dataset = fields_of(folder, extent, 2);
  std::vector<Extent3> extents(2, extent);
  EXPECT_THROW(expand_copies(CopySet::turns, {}, &dataset, &extents), ConfigError);
  ShapeSpec shape;
  shape.fixed = Extent3{1, 16, 16};
  expand_copies(CopySet::turns, shape, &dataset, &extents);
  ASSERT_EQ(dataset.cases.size(), 96U);
  std::set<std::vector<float>> distinct;
  for (size_t i = 0; i < 48; ++i) {
    distinct.insert(loaded_copy(dataset.cases[i], CopySet::turns, shape, extent));
  }
  EXPECT_EQ(distinct.size(), 48U);
}

TEST(FieldCopies, the_square_that_survives_every_turn_of_1024_is_724) {
  EXPECT_EQ(largest_turning_square({1, 1024, 1280}), 724);
  EXPECT_EQ(largest_turning_square({1, 1280, 1024}), 724);
}

TEST(FieldCopies, written_copies_are_those_made_while_loading) {
  const TemporaryFolder folder;
  const Extent3 extent{1, 24, 24};
  const Dataset dataset = fields_of(folder, extent, 3);
  for (const CopySet set : {CopySet::quarter_turns, CopySet::turns}) {
    Dataset copies = dataset;
    std::vector<Extent3> extents(3, extent);
    ShapeSpec shape;
    if (set == CopySet::turns) shape.fixed = Extent3{1, 16, 16};
    expand_copies(set, shape, &copies, &extents);
    std::vector<std::string> manifests;
    for (const int threads : {1, 2}) {
      const std::string out = folder / ("out" + std::to_string(threads));
      ThreadPool pool(threads);
      const int64_t count = write_copies(dataset, {set, {}, out}, &pool, [](int64_t) {});
      EXPECT_EQ(count, static_cast<int64_t>(copies.cases.size()));
      const Dataset written = open_dataset(out, DatasetLayout::csv);
      ASSERT_EQ(written.cases.size(), copies.cases.size());
      for (size_t i = 0; i < copies.cases.size(); ++i) {
        EXPECT_EQ(written.cases[i].id, copies.cases[i].id);
        EXPECT_EQ(written.cases[i].groups.at("source"), copies.cases[i].groups.at("source"));
        const std::vector<float> expected = loaded_copy(copies.cases[i], set, shape, extent);
        const Extent3 small = set == CopySet::turns ? Extent3{1, 16, 16} : extent;
        const std::vector<float> found = loaded_copy(written.cases[i], CopySet::none, {}, small);
        ASSERT_EQ(found.size(), expected.size());
        for (size_t k = 0; k < found.size(); ++k) {
          EXPECT_LE(std::abs(found[k] - expected[k]), 0.5F);  // rounded to whole numbers
        }
      }
    }
  }
}

TEST(FieldCopies, splits_keep_copies_together_and_validate_on_the_field_alone) {
  const TemporaryFolder folder;
  const Extent3 extent{1, 8, 8};
  Dataset dataset = fields_of(folder, extent, 10);
  std::vector<Extent3> extents(10, extent);
  expand_copies(CopySet::quarter_turns, {}, &dataset, &extents);
  SplitSpec spec;
  spec.train = 0.6;
  spec.validation = 0.4;
  spec.test = 0.0;
  const Split split = split_dataset(dataset, spec);
  EXPECT_EQ(split.train.size(), 36U);
  EXPECT_EQ(split.validation.size(), 4U);
  for (const int64_t index : split.validation) {
    EXPECT_EQ(dataset.cases[static_cast<size_t>(index)].copy, 0);
  }
  EXPECT_FALSE(split_leaks(dataset, split));
}

TEST(FieldCopies, dividing_copies_singly_is_the_papers_split_and_is_found_to_leak) {
  const TemporaryFolder folder;
  const Extent3 extent{1, 8, 8};
  Dataset dataset = fields_of(folder, extent, 10);
  std::vector<Extent3> extents(10, extent);
  expand_copies(CopySet::quarter_turns, {}, &dataset, &extents);
  SplitSpec spec;
  spec.by = "copy";
  spec.train = 0.9;
  spec.validation = 0.1;
  spec.test = 0.0;
  const Split split = split_dataset(dataset, spec);
  EXPECT_EQ(split.train.size(), 54U);
  EXPECT_EQ(split.validation.size(), 6U);
  EXPECT_TRUE(split_leaks(dataset, split));
}

}  // namespace
}  // namespace wholemount
