#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "wholemount/data/dataset_survey.h"
#include "wholemount/data/value_histogram.h"
#include "wholemount/tensor/extent3.h"

namespace wholemount {

// Private to the survey: what one case adds to it.

/// Of the voxels of one channel.
struct ChannelTally {
  int64_t voxels = 0;
  int64_t non_finite = 0;
  float minimum = std::numeric_limits<float>::max();
  float maximum = std::numeric_limits<float>::lowest();
  double sum = 0;  ///< of the finite ones
};

struct CaseSurvey {
  std::optional<Extent3> extent;  ///< none: no header could be read
  std::array<double, 3> spacing_mm{};
  std::vector<ChannelTally> channels;
  std::vector<bool> readable;  ///< channels whose header is right
  bool label_readable = false;
  std::optional<std::array<int64_t, 256>> label_voxels;  ///< of each value
  std::vector<DatasetProblem> problems;
};

/// Opens every file of a case: shapes, places and numbers of channels.
[[nodiscard]] CaseSurvey survey_headers(const Case& subject);

/// Reads every voxel of what survey_headers found readable; `histograms` (one a channel) gain the
/// image's values. Memory: kSurveyLaneBytes.
void survey_voxels(const Case& subject, const Dataset& dataset,
                   std::span<ValueHistogram> histograms, CaseSurvey* survey);

}  // namespace wholemount
