#pragma once

#include <cstddef>
#include <memory>

#include "wholemount/graph/op.h"
#include "wholemount/plan/tape.h"

namespace wholemount {

/// The operators with which a value is held in half its bytes: {x: f32} -> {y: half the bytes}, and
/// back. Both null: values are never held that way.
struct HalfOps {
  std::shared_ptr<const Op> shrink;
  std::shared_ptr<const Op> expand;
};

/// Gives every forward value of at least `smallest_bytes` that the backward pass reads, and that
/// the caller does not keep, the steps of Tape::halves, and finds which steps can read a half as it
/// is. The tape's graph is then a copy with values and nodes appended; the ids of its own stay
/// good.
void add_half_storage(Tape& tape, const HalfOps& ops, const Target& target, const TimeModel& time,
                      size_t smallest_bytes);

}  // namespace wholemount
