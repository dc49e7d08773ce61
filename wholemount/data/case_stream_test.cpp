#include "wholemount/data/case_stream.h"

#include "wholemount/data/dataset_test_support.h"

namespace wholemount {
namespace {

using testing::make_brain_dataset;
using testing::TemporaryFolder;

LoadSpec make_spec(const Dataset& dataset) {
  LoadSpec spec;
  spec.channels = select_channels(dataset, {"FLAIR", "t1gd"});
  spec.target = make_target(dataset, {"whole-tumour"});
  spec.shape.multiple = {4, 4, 4};
  spec.augment = {true, true};
  spec.seed = 3;
  return spec;
}

std::vector<std::byte> bytes_of(const LoadedCase& loaded) {
  const std::byte* image = loaded.image.origin;
  std::vector<std::byte> bytes(image, image + loaded.image.desc.bytes());
  const std::byte* target = loaded.target->origin;
  bytes.insert(bytes.end(), target, target + loaded.target->desc.bytes());
  return bytes;
}

class CaseStreamTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  Dataset dataset_ = make_brain_dataset(folder_, {{3, 5, 6}, {4, 4, 4}, {2, 9, 3}});
  LoadSpec spec_ = make_spec(dataset_);
  std::vector<Extent3> extents_ = read_case_headers(dataset_.cases).extents;
  std::vector<CaseRequest> order_{{2, 0}, {0, 0}, {1, 0}, {1, 1}, {2, 1}, {0, 1}, {2, 2}};
};

TEST_F(CaseStreamTest, cases_come_in_order_whatever_the_number_of_slots) {
  for (const int64_t num_slots : {1, 2, 3, 10}) {
    const StagingPlan plan = plan_staging(spec_, extents_, num_slots);
    CaseStream stream(dataset_.cases, spec_, plan, order_);
    for (const CaseRequest& request : order_) {
      const LoadedCase* loaded = stream.next();
      ASSERT_NE(loaded, nullptr);
      EXPECT_EQ(loaded->case_index, request.case_index);
      EXPECT_EQ(loaded->epoch, request.epoch);
      const auto index = static_cast<size_t>(request.case_index);
      std::vector<std::byte> memory(staging_desc(spec_, extents_[index]).bytes);
      EXPECT_EQ(bytes_of(*loaded),
                bytes_of(load_case(dataset_.cases[index], request, spec_, memory)));
      stream.release(loaded);
    }
    EXPECT_EQ(stream.next(), nullptr);
  }
}

TEST_F(CaseStreamTest, held_cases_stay_untouched_while_others_are_loaded) {
  const StagingPlan plan = plan_staging(spec_, extents_, 3);
  CaseStream stream(dataset_.cases, spec_, plan, order_);
  const LoadedCase* held = stream.next();
  const std::vector<std::byte> before = bytes_of(*held);
  for (size_t i = 1; i < order_.size(); ++i) stream.release(stream.next());
  EXPECT_EQ(stream.next(), nullptr);
  EXPECT_EQ(bytes_of(*held), before);
}

TEST_F(CaseStreamTest, memory_given_is_used_and_plan_covers_the_largest_case) {
  const StagingPlan plan = plan_staging(spec_, extents_, 2);
  // [4, 8, 8] and [4, 12, 4] both occur: 2 channels of float32 and the target.
  EXPECT_GE(plan.slot_bytes, static_cast<size_t>(4 * 8 * 8 * (2 * 4 + 1)));
  EXPECT_EQ(plan.total_bytes, 2 * plan.slot_bytes + load_bytes(spec_));
  std::vector<std::byte> memory(plan.slots_bytes());
  CaseStream stream(dataset_.cases, spec_, plan, order_, memory);
  const LoadedCase* loaded = stream.next();
  EXPECT_GE(loaded->image.origin, memory.data());
  EXPECT_LT(loaded->image.origin, memory.data() + memory.size());
}

TEST_F(CaseStreamTest, errors_reach_the_caller_at_the_case_they_belong_to) {
  std::filesystem::resize_file(dataset_.cases[1].channels[0].path, 200);
  const StagingPlan plan = plan_staging(spec_, extents_, 2);
  CaseStream stream(dataset_.cases, spec_, plan, {{0, 0}, {1, 0}, {2, 0}});
  stream.release(stream.next());
  WM_EXPECT_ERROR(stream.next(), FileError, "imagesTr/c1.nii.gz");
}

TEST_F(CaseStreamTest, asking_beyond_the_slots_is_an_internal_error_and_leaving_early_is_fine) {
  const StagingPlan plan = plan_staging(spec_, extents_, 1);
  CaseStream stream(dataset_.cases, spec_, plan, order_);
  const LoadedCase* loaded = stream.next();
  WM_EXPECT_ERROR(stream.next(), InternalError, "held");
  stream.release(loaded);
  WM_EXPECT_ERROR(stream.release(loaded), InternalError, "twice");
}

}  // namespace
}  // namespace wholemount
