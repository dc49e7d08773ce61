#pragma once

#include <memory>
#include <string>
#include <vector>

#include "wholemount/data/case_stream.h"
#include "wholemount/data/split.h"
#include "wholemount/train/job.h"

namespace wholemount {

/// A job together with the cases it runs on.
struct DataJob {
  JobSpec job;
  Dataset dataset;
  Split split;
  std::vector<Extent3> extents;  ///< stored, by case of the data set
  LoadSpec train_load;           ///< with augmentation
  LoadSpec evaluation_load;      ///< without
  StagingPlan staging;
  /// Copies of one field train and validate (split_leaks): kLeakWarning belongs beside every score.
  bool leaks = false;
  double first_touch_seconds = 0;  ///< monotonic time at which the data set was first touched
  /// SHA-256 of case ids, files' sizes, extents and split: resuming on other data is refused.
  std::string data_digest;
};

/// Opens the data set of a configuration, reads all headers, splits, and makes the job. Throws
/// FileError, ConfigError.
[[nodiscard]] DataJob job_from_data(const RunConfig& config);

/// The job of a configuration for planning and benches: from its data set, or, where data.root does
/// not exist and data.shape is fixed, as if it held one case of that shape (channels as listed, one
/// output per region, or class of mcnn, of data.target).
[[nodiscard]] JobSpec job_from_data_or_shape(const RunConfig& config);

/// Fits what data.normalise and data.illumination want fitted (reads training fields, or controls);
/// null where nothing is. Throws FileError, ConfigError.
[[nodiscard]] std::shared_ptr<const IntensityFit> fit_job_intensity(const DataJob& data);

/// Whether a model of this configuration carries an IntensityFit.
[[nodiscard]] bool needs_intensity_fit(const RunConfig& config);

/// How images are brought into tensors for a network: of a data set's channel indices.
[[nodiscard]] LoadSpec load_spec_from_config(const RunConfig& config, const Extent3& divisor,
                                             std::vector<int64_t> channels);

}  // namespace wholemount
