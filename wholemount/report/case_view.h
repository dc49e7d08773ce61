#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/report/case_study.h"

namespace wholemount {

/// One sample case as a section of the page: three views with a slider each.
struct CaseViewSpec {
  std::string id;                          ///< unique in the page: "case-0"
  size_t max_png_bytes = size_t{1} << 20;  ///< of all embedded slices of the case
  std::string overlay_file;                ///< name of the picture beside the page, for the caption
};

/// At most 24 slices of each axis are embedded, fewer when they would take more than the budget;
/// always the fullest slice, which is what the page shows first (and prints).
[[nodiscard]] std::string render_case_view(const SampleCase& sample, const CaseViewSpec& spec);

/// The three fullest slices side by side, about 1200 pixels wide.
[[nodiscard]] IndexedImage overlay_picture(const SampleCase& sample);

/// The slices of an axis to embed: every k-th, `count` at most (at least 1), through `key`.
[[nodiscard]] std::vector<int64_t> chosen_slices(int64_t num_slices, int64_t key, int64_t count);

}  // namespace wholemount
