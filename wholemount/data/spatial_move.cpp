#include "wholemount/data/spatial_move.h"

#include <utility>

#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

std::array<int64_t, 3> sizes_of(const Extent3& extent) { return {extent.d, extent.h, extent.w}; }

}  // namespace

void SpatialMove::mirror(int axis) {
  bool& flag = reversed[static_cast<size_t>(axis)];
  flag = !flag;
}

void SpatialMove::turn(int first, int second) {
  std::swap(source[static_cast<size_t>(first)], source[static_cast<size_t>(second)]);
  std::swap(reversed[static_cast<size_t>(first)], reversed[static_cast<size_t>(second)]);
  mirror(first);
}

SpatialMove draw_spatial_move(const AugmentSpec& spec, const Extent3& valid, const Extent3& padded,
                              uint64_t seed, uint64_t epoch, uint64_t case_index) {
  SpatialMove move;
  if (spec.rot90) {
    const auto inner = sizes_of(valid);
    const auto outer = sizes_of(padded);
    std::array<std::pair<int, int>, 3> planes;
    size_t num_planes = 0;
    for (const auto& [a, b] : {std::pair{1, 2}, std::pair{0, 1}, std::pair{0, 2}}) {
      const auto first = static_cast<size_t>(a);
      const auto second = static_cast<size_t>(b);
      if (inner[first] == inner[second] && outer[first] == outer[second]) {
        planes[num_planes++] = {a, b};
      }
    }
    if (num_planes > 0) {
      CounterRng rng(seed, epoch, case_index, "rot90");
      const auto [first, second] = planes[rng.next_below(num_planes)];
      const uint64_t turns = rng.next_below(4);
      for (uint64_t i = 0; i < turns; ++i) move.turn(first, second);
    }
  }
  if (spec.flip) {
    CounterRng rng(seed, epoch, case_index, "flip");
    for (int axis = 0; axis < 3; ++axis) {
      if (rng.next_below(2) == 1) move.mirror(axis);
    }
  }
  return move;
}

StridedBox moved_box(const TensorView& view, int64_t channel, const Box3& valid,
                     const SpatialMove& move) {
  const std::array<int64_t, 3> begins{valid.begin.d, valid.begin.h, valid.begin.w};
  const std::array<int64_t, 3> sizes = sizes_of(valid.extent());
  const std::array<int64_t, 3> pitches{view.plane_pitch, view.row_pitch, view.desc.block_width()};
  const int64_t width = view.desc.block_width();
  StridedBox box;
  box.offset = channel / width * view.block_pitch + channel % width;
  std::array<int64_t, 3> source_pitches{};
  std::array<int64_t, 3> source_sizes{};
  for (size_t axis = 0; axis < 3; ++axis) {
    const auto source = static_cast<size_t>(move.source[axis]);
    const bool reversed = move.reversed[axis];
    box.offset += pitches[axis] * (begins[axis] + (reversed ? sizes[axis] - 1 : 0));
    source_pitches[source] = reversed ? -pitches[axis] : pitches[axis];
    source_sizes[source] = sizes[axis];
  }
  box.extent = {source_sizes[0], source_sizes[1], source_sizes[2]};
  box.d_pitch = source_pitches[0];
  box.h_pitch = source_pitches[1];
  box.w_pitch = source_pitches[2];
  return box;
}

}  // namespace wholemount
