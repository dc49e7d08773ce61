#include "wholemount/train/job_plan.h"

#include <gtest/gtest.h>

#include <vector>

#include "wholemount/train/job_from_data.h"

namespace wholemount {
namespace {

constexpr Extent3 kShape{32, 32, 32};

/// `cases` training cases of which batch norm joins `batch`.
JobSpec joined_job(int64_t cases, int64_t batch) {
  const RunConfig config = parse_config(
      "[data]\nroot = \"/there/is/none\"\nshape = [32, 32, 32]\ntarget = [\"whole-tumour\"]\n"
      "channels = [\"FLAIR\"]\n[net]\nfilters = 16\nlevels = 3\nnorm = \"batch\"\n[train]\nbatch "
      "= " +
          std::to_string(batch) + "\n",
      "test");
  JobSpec job = job_from_data_or_shape(config);
  job.train_extents.assign(static_cast<size_t>(cases), kShape);
  return job;
}

TEST(JobPlan, an_epochs_smaller_last_update_is_planned_before_it_runs) {
  const JobSpec job = joined_job(7, 4);
  JobPrograms programs(job, plan_spec_from_config(job.config, 1), default_time_model(1));
  static_cast<void>(plan_job(job, programs, 1));
  // What is planned from now on would take as little as it can.
  programs.keep_arena_budget(0);
  const size_t planned = programs.update.get(std::vector<Extent3>(3, kShape)).program->arena_bytes;
  const size_t now = programs.update.get(std::vector<Extent3>(2, kShape)).program->arena_bytes;
  EXPECT_GT(planned, now * 3 / 2);
}

TEST(JobPlan, spill_file_holds_the_smaller_last_update_too) {
  JobSpec job = joined_job(7, 4);
  job.config.memory.spill = testing::TempDir();
  PlanSpec spec = plan_spec_from_config(job.config, 1);
  spec.recompute = false;
  JobPrograms programs(job, spec, default_time_model(1));
  const JobPlan all = plan_job(job, programs, 1);
  const JobPlan part = plan_job(job, programs, 1, all.memory.peak_bytes() - all.arena_bytes / 2);
  const Program& last = *programs.update.get(std::vector<Extent3>(3, kShape)).program;
  EXPECT_LE(last.arena_bytes, part.arena_bytes);
  EXPECT_LE(last.spill_bytes, part.spill_bytes);
  EXPECT_GT(last.spill_bytes, 0U);
}

TEST(JobPlan, seconds_count_the_loading_of_cases) {
  JobSpec job = joined_job(4, 2);
  JobPrograms programs(job, plan_spec_from_config(job.config, 1), default_time_model(1));
  const double without = plan_job(job, programs, 1).step_seconds;
  job.case_load_seconds = 1e-3;
  const double with = plan_job(job, programs, 1).step_seconds;
  EXPECT_GE(with, without);
  EXPECT_LE(with, without + 2 * job.case_load_seconds + 1e-9) << "no more than one after the other";
  // One thread loads, whatever else runs.
  job.case_load_seconds = 1e3;
  EXPECT_GE(plan_job(job, programs, 1).step_seconds, 2 * job.case_load_seconds);
}

}  // namespace
}  // namespace wholemount
