#pragma once

#include <nlohmann/json_fwd.hpp>

#include "wholemount/train/job_plan.h"

namespace wholemount {

/// A plan with the keys of `plan --json`, which plan.json of a run folder holds too: bytes of the
/// process by item, operations, seconds. `input` is [n, c, d, h, w] of an update of the largest
/// shape.
[[nodiscard]] nlohmann::ordered_json plan_json(const JobSpec& job, const JobPlan& plan);

}  // namespace wholemount
