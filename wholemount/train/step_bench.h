#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/train/job_plan.h"
#include "wholemount/train/step_timeline.h"

namespace wholemount {

/// Time of one kind of kernel within a step.
struct KernelTime {
  std::string kernel;
  int64_t count = 0;
  double flops = 0;
  double bytes = 0;
  double seconds = 0;  ///< median over rounds, summed over nodes
};

/// One node of the step.
struct NodeTime {
  std::string node;
  std::string kernel;
  double flops = 0;
  double bytes = 0;
  double seconds = 0;  ///< median over rounds
  double predicted_seconds = 0;
};

/// What `bench step` measured.
struct StepBench {
  std::vector<double> step_seconds;  ///< one per round: an update's gradient of one program
  double median_seconds = 0;
  double finish_seconds = 0;        ///< median; once an update (Session::finish_update)
  double forward_seconds = 0;       ///< median
  double peak_flops = 0;            ///< multiply-add peak, median of measurements between rounds
  size_t peak_bytes = 0;            ///< VmHWM after the rounds
  std::vector<KernelTime> kernels;  ///< longest first
  std::vector<NodeTime> nodes;      ///< in the order of execution
  StepTimeline timeline;            ///< of one further run
};

/// Runs the largest program of the job `rounds` times on synthetic data after one warm-up, with a
/// measurement of the machine's peak between rounds. Weights are initialised and left unchanged.
/// Memory is that of a training process: optimiser state and data staging are there too.
[[nodiscard]] StepBench bench_step(const JobSpec& job, const JobPlan& plan, JobPrograms& programs,
                                   ThreadPool& pool, int rounds);

}  // namespace wholemount
