#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace wholemount::cli {

/// What `plan --sweep` is asked for.
struct SweepOptions {
  /// "key=v1,v2,..."; every combination is planned. "memory.budget" alone: ten budgets from the
  /// job's floor to what it takes without one.
  std::vector<std::string> axes;
  std::string figure = "sweep.html";
  bool measure = false;  ///< also run one step of each
};

/// Plans every combination of the axes' values, prints a table (or JSON) of bytes and seconds, and
/// writes a page with both drawn over the first axis. A combination that its memory.budget does not
/// allow is listed with what it needs. With `measure`, an update of each that fits the memory that
/// is free runs in a process of its own, and what it took stands beside the prediction. Throws
/// ConfigError for an axis without values, given twice, or of budgets beside --memory, OutputError.
void run_sweep(const SweepOptions& sweep, const ConfigOptions& config, const CommonOptions& common);

}  // namespace wholemount::cli
