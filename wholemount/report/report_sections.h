#pragma once

#include <optional>
#include <string>
#include <vector>

#include "wholemount/report/case_study.h"
#include "wholemount/report/memory_timeline.h"
#include "wholemount/report/run_record.h"
#include "wholemount/train/job_from_data.h"

namespace wholemount {

// Parts of the page, as markup. They show what there is; data that could not be had are absent.

/// Title, status and the key numbers.
[[nodiscard]] std::string header_section(const RunRecord& run);
/// What was trained on what; `data` adds what only the data set knows.
[[nodiscard]] std::string setup_section(const RunRecord& run, const DataJob* data);
/// Loss, Dice, learning rate over updates.
[[nodiscard]] std::string curves_section(const RunRecord& run);
/// Predicted and measured memory and time.
[[nodiscard]] std::string resources_section(const RunRecord& run);
/// The table of cases, worst first.
[[nodiscard]] std::string cases_section(const CaseStudy& study);
/// The resolved configuration, folded.
[[nodiscard]] std::string configuration_section(const RunRecord& run);

/// "12.3 s", "4 min 10 s", "3 h 20 min", "2 d 4 h"; "0.812 s" below one second.
[[nodiscard]] std::string duration_in_words(double seconds);

}  // namespace wholemount
