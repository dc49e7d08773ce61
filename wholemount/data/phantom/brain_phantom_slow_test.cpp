#include <gtest/gtest.h>

#include "wholemount/data/phantom/phantom_test_support.h"

namespace wholemount {
namespace {

using testing::best_threshold_dice;

TEST(BrainPhantom, no_threshold_solves_other_seeds) {
  for (const uint64_t seed : {1U, 2U, 15U}) {
    EXPECT_LE(best_threshold_dice(seed, 6, {48, 64, 64}), 0.60) << "seed " << seed;
  }
}

TEST(BrainPhantom, no_threshold_solves_finer_voxels) {
  EXPECT_LE(best_threshold_dice(816, 6, {80, 96, 96}), 0.60);
}

TEST(BrainPhantom, no_threshold_solves_many_cases) {
  EXPECT_LE(best_threshold_dice(7, 24, {32, 48, 48}), 0.60);
}

}  // namespace
}  // namespace wholemount
