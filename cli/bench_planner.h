#pragma once

#include "cli/command.h"

namespace wholemount::cli {

/// Adds `bench planner`: how long planning takes and how good its plans are.
void add_bench_planner_command(CLI::App& bench);

}  // namespace wholemount::cli
