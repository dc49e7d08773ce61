#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace wholemount::cli {

/// What `bench step` measured in a process of its own.
struct MeasuredStep {
  double step_seconds = 0;
  size_t peak_bytes = 0;
};

/// Runs `wholemount bench step` with these arguments (after "bench step"; --json is added) as a
/// child process, so that its peak memory is its own. What it says goes to stderr. Throws
/// InternalError when it cannot be started or does not answer, with its exit code.
[[nodiscard]] MeasuredStep measure_step_in_child(const std::vector<std::string>& arguments);

}  // namespace wholemount::cli
