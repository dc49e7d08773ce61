#include "wholemount/metrics/classification.h"

#include <gtest/gtest.h>

#include <array>

namespace wholemount {
namespace {

TEST(ConfusionMatrix, counts_by_truth_and_call) {
  ConfusionMatrix matrix(3);
  matrix.add(0, 0);
  matrix.add(0, 2, 4);
  matrix.add(2, 2, 3);
  EXPECT_EQ(matrix.total(), 8);
  EXPECT_EQ(matrix.right(), 4);
  EXPECT_EQ(matrix.of_class(0), 5);
  EXPECT_EQ(matrix.of_class(1), 0);
  EXPECT_EQ(matrix.at(0, 2), 4);
}

TEST(RankOfTruth, equal_scores_put_the_lower_class_first) {
  const std::array<float, 5> scores{0.5F, 2.0F, 2.0F, -1.0F, 0.5F};
  EXPECT_EQ(rank_of_truth(scores, 1), 0);
  EXPECT_EQ(rank_of_truth(scores, 2), 1);
  EXPECT_EQ(rank_of_truth(scores, 0), 2);
  EXPECT_EQ(rank_of_truth(scores, 4), 3);
  EXPECT_EQ(rank_of_truth(scores, 3), 4);
}

TEST(NeighbourScore, leaves_out_the_same_compound_and_for_nscb_the_same_batch) {
  const std::vector<TreatmentProfile> profiles = {
      {"a", "1", "x", {1, 0}},    {"a", "1", "x", {1, 0.01}}, {"b", "1", "x", {1, 0.1}},
      {"c", "2", "y", {1, 0.05}}, {"d", "2", "y", {0, 1}},    {"e", "1", "y", {0.1, 1}}};
  // a, a -> c (y): wrong; b -> c: wrong; c -> a (x): wrong; d -> e, e -> d: right.
  const NeighbourScore nsc = neighbour_score(profiles, false);
  EXPECT_EQ(nsc.treatments, 6);
  EXPECT_EQ(nsc.right, 2);
  // Mechanism x lives in batch 1 alone: its three treatments are left out.
  const NeighbourScore nscb = neighbour_score(profiles, true);
  EXPECT_EQ(nscb.treatments, 3);
  EXPECT_EQ(nscb.right, 2);
}

}  // namespace
}  // namespace wholemount
