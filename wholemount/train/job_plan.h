#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/plan/planner.h"
#include "wholemount/predict/inference_programs.h"
#include "wholemount/train/job.h"
#include "wholemount/train/update_runner.h"

namespace wholemount {

/// The programs of a job: those of updates and those of evaluations, made on demand and kept.
struct JobPrograms {
  JobPrograms(const JobSpec& job, const PlanSpec& spec, const TimeModel& time);
  UpdatePrograms update;
  InferencePrograms evaluation;
  double copy_bytes_per_second = 0;
  double peak_flops_per_second = 0;

  /// What each program's arena may take; forgets the programs planned before.
  void set_arena_budget(size_t bytes);
  /// The same for programs planned from now on; those planned before stay.
  void keep_arena_budget(size_t bytes);
};

/// Predicted bytes of the whole process, by what they are for. Buffers count in whole 2 MiB pages.
struct MemoryPlan {
  size_t baseline_bytes = 0;   ///< the process as it is when planned: code, libraries, descriptions
  size_t reserve_bytes = 0;    ///< heap, code and stacks first touched while running
  size_t parameter_bytes = 0;  ///< values
  size_t gradient_bytes = 0;   ///< all slots
  size_t optimiser_bytes = 0;
  size_t arena_bytes = 0;  ///< the largest program's
  size_t data_bytes = 0;   ///< staging slots and decode buffers
  [[nodiscard]] size_t peak_bytes() const {
    return baseline_bytes + reserve_bytes + parameter_bytes + gradient_bytes + optimiser_bytes +
           arena_bytes + data_bytes;
  }
};

/// A job with its bytes and seconds, before anything runs.
struct JobPlan {
  MemoryPlan memory;
  ParameterBlocks blocks;
  size_t arena_bytes = 0;          ///< exact size of the arena to map
  size_t lower_bound_bytes = 0;    ///< of that arena
  std::vector<Extent3> largest;    ///< sample shapes of the program with the largest arena
  int64_t parameters = 0;          ///< moving statistics included
  size_t spill_bytes = 0;          ///< of the spill file to reserve
  int64_t kept_values = 0;         ///< forward values that stay until the backward pass
  int64_t recomputed_values = 0;   ///< times a value is rebuilt in the largest program
  int64_t spilled_values = 0;      ///< values of it that go through the spill file
  int64_t half_values = 0;         ///< values of it that are held as bfloat16; not exact
  int64_t step_flops = 0;          ///< convolutions of one update of samples of that shape
  int64_t flops_per_image = 0;     ///< forward of that shape, direct convolution
  int64_t layer_output_bytes = 0;  ///< see cli.md, of the batch
  int64_t convolution_output_bytes = 0;
  size_t budget_bytes = 0;    ///< what was to be met; check_budget says whether it is
  double update_seconds = 0;  ///< of step_seconds: the optimiser and the joining of sums
  double finish_seconds = 0;  ///< of update_seconds: Session::finish_update
  double step_seconds = 0;    ///< mean over the training cases
  double epoch_seconds = 0;
  double total_seconds = 0;
};

/// Plans the programs of all distinct shapes, training and evaluation, so that the whole process
/// stays within `budget_bytes` where that is possible, and adds up. Where it is not, programs are
/// as small as they can be, and the peak is the least budget that works. Call it right before the
/// buffers are made: the baseline is what the process holds at its end.
[[nodiscard]] JobPlan plan_job(const JobSpec& job, JobPrograms& programs, int num_threads,
                               size_t budget_bytes = SIZE_MAX);

/// How programs of the job are planned: kernels, threads, and what [memory] allows.
[[nodiscard]] PlanSpec plan_spec_from_config(const RunConfig& config, int num_threads);

/// The budget of a run: `flag` (--memory) if not empty, else memory.budget, else what is free now.
[[nodiscard]] size_t memory_budget_bytes(const RunConfig& config, const std::string& flag);

/// A budget for which the plan works if it is made again by another process: the peak and a little
/// for what differs between starts.
[[nodiscard]] size_t smallest_budget_bytes(const JobPlan& plan);

/// Throws MemoryBudgetError (need, have, largest items, the smallest budget that works) when the
/// plan's peak is above the budget it was made for.
void check_budget(const JobPlan& plan);

}  // namespace wholemount
