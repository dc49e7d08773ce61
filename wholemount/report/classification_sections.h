#pragma once

#include <string>

#include "wholemount/report/line_chart.h"
#include "wholemount/report/run_record.h"
#include "wholemount/train/job_from_data.h"

namespace wholemount {

// Parts of the page of a run that classifies whole images, as markup.

/// The paragraph that stands beside every score of a split that leaks; empty where none does.
[[nodiscard]] std::string leak_warning(bool leaks);

/// Images of each class in each part of the split, and how the parts were made.
[[nodiscard]] std::string class_distribution_section(const DataJob& data);

/// One image of each class, its channels side by side, reduced to at most 240 pixels of width.
/// Reads the files row by row. Throws FileError.
[[nodiscard]] std::string example_images_section(const DataJob& data);

/// Who was taken for whom in the last evaluation; empty without one.
[[nodiscard]] std::string confusion_section(const RunRecord& run, const DataJob& data);

/// Top-1, top-5 and balanced accuracy over updates.
[[nodiscard]] LineChart accuracy_chart(const RunRecord& run, double x_end);

}  // namespace wholemount
