#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/data/dataset.h"

namespace wholemount {

/// Percentiles a survey gives.
constexpr std::array<double, 5> kSurveyPercents{0.5, 5, 50, 95, 99.5};

/// Intensities of one channel over the cases whose voxels were read. What needs a finite voxel is
/// absent where there is none.
struct ChannelSurvey {
  std::string name;
  int64_t voxels = 0;  ///< finite ones and others
  int64_t zeros = 0;
  int64_t non_finite = 0;
  std::optional<double> minimum;
  std::optional<double> maximum;
  std::optional<double> mean;
  std::vector<double> percentiles;          ///< at kSurveyPercents (see ValueHistogram)
  std::vector<double> percentiles_nonzero;  ///< of the voxels that are not 0
};

/// A label over the cases whose voxels were read. Volumes are those of cases that have it, in ml
/// (1000 mm^3), from the voxel sizes.
struct LabelSurvey {
  int64_t value = 0;
  std::string name;    ///< empty: the data set does not declare it
  int64_t cases = 0;   ///< that have at least one voxel of it
  int64_t voxels = 0;  ///< in all of them
  double smallest_ml = 0;
  double mean_ml = 0;
  double largest_ml = 0;
};

/// Something about a case that is wrong or odd.
struct DatasetProblem {
  std::string case_id;
  std::string message;   ///< begins with a path where it is about one file
  bool refused = false;  ///< training on this case ends with exit 3
};

/// Smallest and largest along [d, h, w].
struct AxisRange {
  std::array<double, 3> smallest{};
  std::array<double, 3> largest{};
};

struct DatasetSurvey {
  std::map<std::array<int64_t, 3>, int64_t> shapes;  ///< [d, h, w]: cases
  std::optional<AxisRange> sizes;                    ///< absent where no header could be read
  std::optional<AxisRange> spacings_mm;
  int64_t cases_read = 0;  ///< cases whose voxels were read
  int64_t voxels_read = 0;
  std::vector<ChannelSurvey> channels;   ///< as in Dataset::channel_names
  std::vector<LabelSurvey> labels;       ///< rising values; of maps that were read
  std::vector<DatasetProblem> problems;  ///< in the order of the cases
};

struct SurveySpec {
  /// Cases whose voxels are read, spread evenly over all; none: all.
  std::optional<int64_t> most_cases;
  /// Called between groups of cases with how many are done, and of how many.
  std::function<void(int64_t done, int64_t of)> progress;
};

/// Reads all headers of a data set, and every voxel of some or all cases: what there is, and what
/// is wrong with it. A damaged file is a problem in the result, not an exception. The result does
/// not depend on the number of threads.
/// Memory: for each of at most 8 lanes (threads) kSurveyLaneBytes and ValueHistogram::kBytes a
/// channel.
[[nodiscard]] DatasetSurvey survey_dataset(const Dataset& dataset, const SurveySpec& spec,
                                           ThreadPool& pool);

constexpr size_t kSurveyLaneBytes = size_t{2} << 20;

}  // namespace wholemount
