#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/data/dataset.h"
#include "wholemount/data/placement.h"
#include "wholemount/data/spatial_move.h"

namespace wholemount {

/// Fixed sets of augmented copies of every field, as paper B trained on.
enum class CopySet : uint8_t {
  none,
  /// "A", paper B's Dataset A: the field, its turns by 90, 180 and 270 degrees, its two mirrors: 6
  /// copies. A quarter turn changes the shape of a rectangle, and a network with a weight for every
  /// position takes one shape, so rectangles have 4: no pixel is cut away or invented.
  quarter_turns,
  /// "B", after paper B's Dataset B: turned by multiples of 15 degrees about the centre, then
  /// cropped to data.shape; each also mirrored: 48 copies. Paper B counts 207 a field without
  /// saying which; a turned and mirrored square has no more than these 48 that differ.
  turns,
};

/// Reads "none", "A", "B"; throws ConfigError.
[[nodiscard]] CopySet parse_copies(const std::string& name);

/// How one copy is made: first the turn by multiples of 15 degrees (turned_crop.h), then the move.
struct FieldCopy {
  int turn = 0;
  SpatialMove move;
};

/// How many copies a field has that is placed so. Copy 0 is the field itself.
[[nodiscard]] int64_t num_copies(CopySet set, const Placement& placement);

/// Copy `index` of num_copies.
[[nodiscard]] FieldCopy field_copy(CopySet set, const Placement& placement, int64_t index);

/// Puts all copies of each field in its place in `dataset.cases`, copy 0 first: ids get "_copy07",
/// all share the group "source", the id of the field. `extents` (by case) become those of the new
/// cases. Throws ConfigError: images that are no planes or have no class; "B" without a shape.
void expand_copies(CopySet set, const ShapeSpec& shape, Dataset* dataset,
                   std::vector<Extent3>* extents);

}  // namespace wholemount
