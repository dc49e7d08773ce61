#pragma once

#include <memory>

#include "wholemount/plan/estimate.h"
#include "wholemount/plan/program.h"

namespace wholemount {

/// Makes the program of a schedule: packs buffers, scratch and windows into the arena, spilled
/// values into the spill file, and writes down the transfers. `unshared`: everything gets memory of
/// its own for the whole program.
[[nodiscard]] std::shared_ptr<Program> assemble(const Tape& tape, const Schedule& schedule,
                                                const Estimate& estimate, size_t alignment,
                                                bool unshared);

}  // namespace wholemount
