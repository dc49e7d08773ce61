#pragma once

#include <cstddef>
#include <string>

#include "wholemount/report/run_record.h"
#include "wholemount/train/job_from_data.h"

namespace wholemount {

/// Throughput and memory over the batch (paper B's Figures 2 and 5): plans of the run's job at
/// batches of 1, 2, 4 ... 64, and this run's own batch as it was measured. Beside the peak of the
/// process stands what keeping the outputs of all convolutions would take. `budget_bytes` is the
/// run's memory budget. Plans; runs nothing.
[[nodiscard]] std::string batch_section(const RunRecord& run, const DataJob& data, int threads,
                                        size_t budget_bytes);

}  // namespace wholemount
