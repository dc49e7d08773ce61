#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "wholemount/plan/search.h"

namespace wholemount {

/// One change of the policies.
struct Change {
  enum class Kind : uint8_t {
    access,
    stream_out,
    stream_always,  ///< written and read window by window by all its steps
    hurry_write,
    late_read,
  };
  Kind kind = Kind::access;
  Use use;
  Access access = Access::recompute;
  /// Of a reload: as short a stay as possible, waiting for both transfers. Of a recomputation: the
  /// inputs of the step come back for it as `inputs` says.
  bool brief = false;
  Access inputs = Access::reload;
  friend bool operator==(const Change&, const Change&) = default;
  friend auto operator<=>(const Change&,
                          const Change&) = default;  // NOLINT(modernize-use-nullptr): a false alarm
};

/// Whether the value read may come back that way: recomputed where its step can be repeated, by way
/// of the disk where there is one, rounded where a half exists (made after the last forward
/// reading, for backward ones).
[[nodiscard]] bool allows(const Tape& tape, const SearchSpec& spec, const Use& use, Access access);

void apply(const Change& change, const Tape& tape, Policies& policies);

/// The single changes that could lower the bytes live at some step above the budget.
[[nodiscard]] std::vector<Change> candidate_changes(const Tape& tape, const SearchSpec& spec,
                                                    size_t budget_bytes, const Policies& policies,
                                                    const Schedule& schedule,
                                                    const Estimate& estimate);

}  // namespace wholemount
