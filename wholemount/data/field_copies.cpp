#include "wholemount/data/field_copies.h"

#include <cstdio>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/nearest_name.h"
#include "wholemount/data/turned_crop.h"

namespace wholemount {

namespace {

std::string copy_suffix(int64_t index) {
  char text[32];
  std::snprintf(text, sizeof(text), "_copy%02d", static_cast<int>(index));
  return text;
}

bool is_square(const Placement& placement) {
  const Extent3 valid = placement.valid.extent();
  return valid.h == valid.w && placement.padded.h == placement.padded.w;
}

}  // namespace

CopySet parse_copies(const std::string& name) {
  if (name == "none") return CopySet::none;
  if (name == "A") return CopySet::quarter_turns;
  if (name == "B") return CopySet::turns;
  throw ConfigError("data.copies: unknown set \"" + name + "\"" +
                    suggestion(name, std::vector<std::string>{"none", "A", "B"}));
}

int64_t num_copies(CopySet set, const Placement& placement) {
  switch (set) {
    case CopySet::none:
      return 1;
    case CopySet::quarter_turns:
      return is_square(placement) ? 6 : 4;
    case CopySet::turns:
      return 2 * int64_t{kTurns};
  }
  return 1;
}

FieldCopy field_copy(CopySet set, const Placement& placement, int64_t index) {
  WM_CHECK(index >= 0 && index < num_copies(set, placement), "a copy that a field does not have");
  FieldCopy copy;
  if (set == CopySet::turns) {
    copy.turn = static_cast<int>(index % kTurns);
    if (index >= kTurns) copy.move.mirror(2);
    return copy;
  }
  // 0: itself; 1: half a turn; 2, 3: mirrors; 4, 5: quarter turns, of squares alone.
  if (index == 1 || index == 2) copy.move.mirror(1);
  if (index == 1 || index == 3) copy.move.mirror(2);
  for (int64_t quarter = 0; quarter < (index == 4 ? 1 : index == 5 ? 3 : 0); ++quarter) {
    copy.move.turn(1, 2);
  }
  return copy;
}

void expand_copies(CopySet set, const ShapeSpec& shape, Dataset* dataset,
                   std::vector<Extent3>* extents) {
  if (set == CopySet::none) return;
  if (set == CopySet::turns && !shape.fixed) {
    throw ConfigError(
        "data.copies = \"B\" turns fields and crops them: set data.shape, [1, 724, 724] for fields "
        "of 1024 x 1280");
  }
  std::vector<Case> cases;
  std::vector<Extent3> copied_extents;
  for (size_t i = 0; i < dataset->cases.size(); ++i) {
    const Case& field = dataset->cases[i];
    const Extent3 extent = (*extents)[i];
    if (extent.d != 1 || field.class_index < 0) {
      throw ConfigError("data.copies: copies are made of classified fields of one plane; \"" +
                        field.id + "\" is not one");
    }
    const int64_t count = num_copies(set, place_volume(extent, shape));
    for (int64_t index = 0; index < count; ++index) {
      Case copy = field;
      copy.groups["source"] = field.id;
      copy.copy = static_cast<int32_t>(index);
      if (index > 0) copy.id += copy_suffix(index);
      cases.push_back(std::move(copy));
      copied_extents.push_back(extent);
    }
  }
  dataset->cases = std::move(cases);
  *extents = std::move(copied_extents);
}

}  // namespace wholemount
