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

/// CPU seconds of loading one of the largest training cases, measured by loading it, with
/// augmentation but without what is fitted to the training cases; 0 where it cannot be read, which
/// is told when it is to be trained on. Takes as long; maps one staging slot meanwhile.
[[nodiscard]] double measure_case_load_seconds(const DataJob& data);

/// The job of a configuration for planning and benches: from its data set, or, where data.root does
/// not exist and data.shape is fixed, as if it held one case of that shape (channels as listed, one
/// output per region, or class of mcnn, of data.target). `with_loading`: its seconds count the
/// loading of cases (JobSpec::case_load_seconds), as those of training do.
[[nodiscard]] JobSpec job_from_data_or_shape(const RunConfig& config, bool with_loading = false);

/// Fits what data.normalise and data.illumination want fitted (reads training fields, or controls);
/// null where nothing is. Throws FileError, ConfigError.
[[nodiscard]] std::shared_ptr<const IntensityFit> fit_job_intensity(const DataJob& data);

/// Whether a model of this configuration carries an IntensityFit.
[[nodiscard]] bool needs_intensity_fit(const RunConfig& config);

/// How images are brought into tensors for a network: of a data set's channel indices.
[[nodiscard]] LoadSpec load_spec_from_config(const RunConfig& config, const Extent3& divisor,
                                             std::vector<int64_t> channels);

}  // namespace wholemount
