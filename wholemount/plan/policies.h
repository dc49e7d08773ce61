#pragma once

#include <cstddef>
#include <cstdint>

#include "wholemount/base/sorted_vector.h"
#include "wholemount/graph/graph.h"

namespace wholemount {

/// How a step gets at a value that is not kept in the arena until then.
enum class Access : uint8_t {
  recompute,  ///< its node runs again right before; the value then stays as if just computed
  reload,     ///< read back whole from the spill file; it then stays as if just computed
  stream,     ///< never whole: the step reads windows of it from the spill file
  half,       ///< expanded from its rounded half, for a backward step; not exact
};

/// One reading of a value. A node that is run again reads its inputs too: such a reading is told
/// apart by the step before which that happens.
struct Use {
  ValueId value = kNone;
  int32_t reader = kNone;  ///< tape step that reads
  int32_t anchor = kNone;  ///< tape step it runs for; = reader unless the reader is run again
  friend bool operator==(const Use&, const Use&) = default;
  friend auto operator<=>(const Use&,
                          const Use&) = default;  // NOLINT(modernize-use-nullptr): a false alarm
};

/// What the search decides about a tape. No entries: every value is kept from the step that writes
/// it to the last one that reads it.
struct Policies {
  SortedMap<Use, Access> uses;
  /// Written to the spill file window by window by the step that computes it, never whole in the
  /// arena by it.
  SortedSet<ValueId> streamed_out;
  /// Values whose transfer to the spill file is waited for right after the last step that needs
  /// them in the arena, instead of overlapping later steps.
  SortedSet<ValueId> hurried_writes;
  /// Reloads that are begun only when the reader is reached, instead of during earlier steps.
  SortedSet<Use> late_reads;

  [[nodiscard]] bool empty() const { return uses.empty() && streamed_out.empty(); }
};

}  // namespace wholemount
