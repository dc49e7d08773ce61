#pragma once

#include <string>

#include "wholemount/exec/session.h"

namespace wholemount {

/// When each thread worked during one run of a program.
struct StepTimeline {
  double seconds = 0;       ///< of the run
  double busy_seconds = 0;  ///< summed over threads: time inside tasks
  int num_threads = 1;
  std::string trace;  ///< every task, in the Trace Event Format (chrome://tracing, Perfetto)
  /// Share of the threads' time outside tasks: waiting for the others, and dealing out tasks.
  [[nodiscard]] double idle_share() const;
};

/// Runs `program` once with every task timed (two readings of the clock each).
[[nodiscard]] StepTimeline record_timeline(Session& session, const Program& program,
                                           const RunSpec& run, int num_threads);

}  // namespace wholemount
