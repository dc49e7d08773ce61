#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/train/config.h"

namespace wholemount {

/// One update of log.jsonl; what is not there is NaN.
struct LoggedStep {
  int64_t step = 0;
  double loss = 0;
  double rate = 0;
  double seconds = 0;
};

/// One evaluation of log.jsonl.
struct LoggedEvaluation {
  int64_t step = 0;
  int64_t epoch = 0;
  double loss = 0;
  std::map<std::string, double> metrics;  ///< NaN where undefined
  /// Classification: [true class][class called]; empty otherwise.
  std::vector<std::vector<int64_t>> confusion;
};

/// plan.json; 0 where an item is not there.
struct RecordedPlan {
  int64_t parameters = 0;
  std::vector<int64_t> input;  ///< [n, c, d, h, w]
  size_t peak_bytes = 0;
  size_t arena_bytes = 0;
  size_t parameter_bytes = 0;
  size_t gradient_bytes = 0;
  size_t optimiser_bytes = 0;
  size_t data_bytes = 0;
  double step_flops = 0;
  double step_seconds = 0;
  double total_seconds = 0;
  /// Program, libraries, stacks: what the items leave of the peak.
  [[nodiscard]] size_t other_bytes() const;
};

/// summary.json, which a run writes at its end.
struct RecordedSummary {
  std::string status;
  int64_t epochs = 0;
  int64_t steps = 0;
  size_t measured_peak_bytes = 0;
  double measured_step_seconds = 0;
  double seconds = 0;
  std::string weights_digest;
};

/// A run folder as far as it is written: of a running or interrupted run, too.
struct RunRecord {
  std::string folder;
  std::string name;  ///< of the folder
  RunConfig config;
  std::string config_text;
  std::vector<LoggedStep> steps;
  std::vector<LoggedEvaluation> evaluations;
  /// Copies of the same fields trained and validated (kLeakWarning).
  bool split_leaks = false;
  std::optional<RecordedPlan> plan;
  std::optional<RecordedSummary> summary;

  /// Median of the logged updates; 0 without any.
  [[nodiscard]] double median_step_seconds() const;
};

/// Reads config.toml, plan.json, log.jsonl and summary.json. A torn last line of the log is left
/// out. Throws FileError when `folder` is no run folder (it has no config.toml) or a file is
/// damaged.
[[nodiscard]] RunRecord read_run_record(const std::string& folder);

}  // namespace wholemount
