#include "wholemount/train/plan_json.h"

#include <nlohmann/json.hpp>

namespace wholemount {

nlohmann::ordered_json plan_json(const JobSpec& job, const JobPlan& plan) {
  const Extent3& extent = plan.largest.front();
  nlohmann::ordered_json json;
  json["parameters"] = plan.parameters;
  json["input"] = {update_batch(job), job.task.in_channels, extent.d, extent.h, extent.w};
  json["flops_per_image"] = plan.flops_per_image;
  json["step_flops"] = plan.step_flops;
  json["layer_output_bytes"] = plan.layer_output_bytes;
  json["convolution_output_bytes"] = plan.convolution_output_bytes;
  json["peak_bytes"] = plan.memory.peak_bytes();
  json["arena_bytes"] = plan.memory.arena_bytes;
  json["parameter_bytes"] = plan.memory.parameter_bytes;
  json["gradient_bytes"] = plan.memory.gradient_bytes;
  json["optimiser_bytes"] = plan.memory.optimiser_bytes;
  json["data_bytes"] = plan.memory.data_bytes;
  json["baseline_bytes"] = plan.memory.baseline_bytes + plan.memory.reserve_bytes;
  json["spill_bytes"] = plan.spill_bytes;
  json["lower_bound_bytes"] = plan.lower_bound_bytes;
  json["policies"] = {{"keep", plan.kept_values},
                      {"recompute", plan.recomputed_values},
                      {"spill", plan.spilled_values},
                      {"half", plan.half_values}};
  json["steps_per_epoch"] = steps_per_epoch(job);
  json["case_load_seconds"] = job.case_load_seconds;
  json["step_seconds"] = plan.step_seconds;
  json["epoch_seconds"] = plan.epoch_seconds;
  json["total_seconds"] = plan.total_seconds;
  return json;
}

}  // namespace wholemount
