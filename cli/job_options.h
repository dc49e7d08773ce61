#pragma once

#include <string>

#include "cli/command.h"
#include "wholemount/train/job.h"

namespace wholemount::cli {

/// The configuration as the command line asks for it: file, --set, --seed.
[[nodiscard]] RunConfig read_config(const ConfigOptions& options, const CommonOptions& common);

/// "12.3 s", "4 min 10 s", "3 h 20 min", "2 d 4 h".
[[nodiscard]] std::string format_duration(double seconds);

/// "2.83 T" style: three significant digits with a unit prefix.
[[nodiscard]] std::string format_count(double value);

}  // namespace wholemount::cli
