#include "wholemount/data/target.h"

#include "wholemount/data/dataset_test_support.h"

namespace wholemount {
namespace {

Dataset with_labels(std::vector<LabelName> labels) {
  Dataset dataset;
  dataset.labels = std::move(labels);
  return dataset;
}

Dataset msd_brain() {
  return with_labels(
      {{0, "background"}, {1, "edema"}, {2, "non-enhancing tumor"}, {3, "enhancing tumour"}});
}

Dataset brats() {
  return with_labels({{0, "background"},
                      {1, "necrotic tumour core"},
                      {2, "peritumoral edema"},
                      {4, "enhancing tumour"}});
}

using Values = std::vector<uint8_t>;

TEST(Target, tumour_regions_follow_either_label_numbering) {
  const std::vector<std::string> names{"whole-tumour", "tumour-core", "enhancing-tumour"};
  const TargetDefinition msd = make_target(msd_brain(), names);
  EXPECT_EQ(msd.coding, LabelCoding::regions);
  EXPECT_EQ(msd.outputs[0].values, (Values{1, 2, 3}));
  EXPECT_EQ(msd.outputs[1].values, (Values{2, 3}));
  EXPECT_EQ(msd.outputs[2].values, (Values{3}));
  Values labels{0, 1, 2, 3};
  EXPECT_EQ(msd.encode(labels), 4U);
  EXPECT_EQ(labels, (Values{0, 1, 3, 7}));
  const TargetDefinition other = make_target(brats(), names);
  EXPECT_EQ(other.outputs[1].values, (Values{1, 4}));
  labels = {0, 1, 2, 4};
  EXPECT_EQ(other.encode(labels), 4U);
  EXPECT_EQ(labels, (Values{0, 3, 1, 7}));
}

TEST(Target, one_region_is_bit_zero) {
  const TargetDefinition target = make_target(msd_brain(), {"enhancing-tumor"});
  Values labels{3, 2, 0};
  EXPECT_EQ(target.encode(labels), 3U);
  EXPECT_EQ(labels, (Values{1, 0, 0}));
  EXPECT_EQ(target.num_outputs(), 1);
}

TEST(Target, labels_are_class_indices_with_a_way_back) {
  const TargetDefinition target = make_target(brats(), {"labels"});
  EXPECT_EQ(target.coding, LabelCoding::classes);
  EXPECT_EQ(target.num_outputs(), 4);
  Values labels{4, 2, 0, 1};
  EXPECT_EQ(target.encode(labels), 4U);
  EXPECT_EQ(labels, (Values{3, 2, 0, 1}));
  EXPECT_EQ(target.label_value(3), 4);
}

TEST(Target, undeclared_values_are_found) {
  const TargetDefinition target = make_target(brats(), {"whole-tumour"});
  Values labels{0, 4, 3, 1};
  EXPECT_EQ(target.encode(labels), 2U);
}

TEST(Target, regions_by_label_name_values_and_foreground) {
  const Dataset dataset = with_labels({{0, "background"}, {1, "Anterior"}, {2, "Posterior"}});
  const TargetDefinition target = make_target(dataset, {"Posterior", "1+2", "foreground", "1"});
  Values labels{0, 1, 2};
  EXPECT_EQ(target.encode(labels), 3U);
  EXPECT_EQ(labels, (Values{0, 0b1110, 0b0111}));
}

TEST(Target, wrong_names_are_configuration_errors) {
  const Dataset dataset = with_labels({{0, "background"}, {1, "Anterior"}});
  WM_EXPECT_ERROR(make_target(dataset, {"whole-tumour"}), ConfigError, "unknown region");
  WM_EXPECT_ERROR(make_target(dataset, {"Anterio"}), ConfigError, "Anterior");
  WM_EXPECT_ERROR(make_target(dataset, {"1+7"}), ConfigError, "no label 7");
  WM_EXPECT_ERROR(make_target(dataset, {}), ConfigError, "empty");
  WM_EXPECT_ERROR(make_target(msd_brain(), {"whole-tumuor"}), ConfigError, "whole-tumour");
  WM_EXPECT_ERROR(make_target(dataset, std::vector<std::string>(8, "1")), ConfigError, "at most 7");
  WM_EXPECT_ERROR(make_target(with_labels({{0, "background"}}), {"labels"}), ConfigError,
                  "at least two");
}

}  // namespace
}  // namespace wholemount
