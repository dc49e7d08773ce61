#include "wholemount/plan/kernel_cost.h"

#include <gtest/gtest.h>

#include <vector>

namespace wholemount {
namespace {

constexpr KernelCost kTruth{2e-12, 5e-11, 3e-10, 4e-6};

std::vector<CostSample> samples_of(const KernelCost& cost) {
  std::vector<CostSample> samples;
  for (const double voxels : {216.0, 4096.0, 1e5, 2e6}) {
    for (const double channels : {16.0, 64.0, 256.0}) {
      CostSample sample;
      sample.work = {54 * voxels * channels * channels, 8 * voxels * channels,
                     108 * channels * channels, 2};
      sample.seconds = cost.seconds(sample.work);
      samples.push_back(sample);
    }
  }
  return samples;
}

TEST(KernelCost, fit_finds_the_costs_that_made_the_samples) {
  const KernelCost fit = fit_kernel_cost(samples_of(kTruth));
  // A term that explains less than 0.5 % is left to the others.
  EXPECT_NEAR(fit.per_flop, kTruth.per_flop, 5e-3 * kTruth.per_flop);
  EXPECT_NEAR(fit.per_byte, kTruth.per_byte, 5e-3 * kTruth.per_byte);
  EXPECT_NEAR(fit.per_shared_byte, kTruth.per_shared_byte, 5e-2 * kTruth.per_shared_byte);
}

TEST(KernelCost, fit_never_charges_less_for_more_work) {
  // Twice the bytes in half the time: no sum of costs explains it, and none may be negative.
  std::vector<CostSample> samples = samples_of(kTruth);
  samples.push_back({{1e9, 1e8, 0, 1}, 1.0});
  samples.push_back({{1e9, 2e8, 0, 1}, 0.5});
  const KernelCost fit = fit_kernel_cost(samples);
  for (const double cost : {fit.per_flop, fit.per_byte, fit.per_shared_byte, fit.per_phase}) {
    EXPECT_GE(cost, 0.0);
  }
}

TEST(KernelCost, fit_of_one_sample_takes_one_term_and_meets_it) {
  const CostSample only{{1e9, 1e7, 1e5, 2}, 0.25};
  const KernelCost fit = fit_kernel_cost(std::vector{only});
  EXPECT_NEAR(fit.seconds(only.work), 0.25, 1e-9);
  const int terms = (fit.per_flop > 0 ? 1 : 0) + (fit.per_byte > 0 ? 1 : 0) +
                    (fit.per_shared_byte > 0 ? 1 : 0) + (fit.per_phase > 0 ? 1 : 0);
  EXPECT_EQ(terms, 1);
}

TEST(KernelCost, fit_leaves_out_what_no_kernel_has) {
  std::vector<CostSample> samples = samples_of({0, 7e-11, 0, 0});
  for (CostSample& sample : samples) sample.work.shared_bytes = 0;
  const KernelCost fit = fit_kernel_cost(samples);
  EXPECT_NEAR(fit.per_byte, 7e-11, 1e-14);
  EXPECT_EQ(fit.per_shared_byte, 0.0);
}

TEST(KernelCost, fit_without_samples_is_zero) {
  EXPECT_EQ(fit_kernel_cost({}).seconds({1e9, 1e9, 1e9, 9}), 0.0);
}

}  // namespace
}  // namespace wholemount
