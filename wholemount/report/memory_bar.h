#pragma once

#include <cstddef>
#include <string>

#include "wholemount/report/run_record.h"

namespace wholemount {

/// A figure: the items of the predicted peak as one stacked bar, the measured peak (0: not known)
/// as a line across it.
[[nodiscard]] std::string render_memory_bar(const RecordedPlan& plan, size_t measured_peak_bytes);

}  // namespace wholemount
