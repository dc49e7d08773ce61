#include <algorithm>

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/inner/correlation_plane.h"

namespace wholemount {

void CorrelationKernel::build_classes() {
  const CorrelationGeometry& g = problem_.geometry;
  for (const AxisClass& d : g.d.classes) {
    for (const AxisClass& h : g.h.classes) {
      for (const AxisClass& w : g.w.classes) {
        // Columns of the ring are steps of the source, so neighbours only exist at step 1.
        bool neighbours = g.w.source_step == 1 && (w.taps.size() == 3 || w.taps.size() == 5);
        for (size_t t = 1; t < w.taps.size(); ++t) {
          neighbours = neighbours && w.taps[t].offset == w.taps[t - 1].offset + 1;
        }
        Class one{{d.start, h.start, w.start},
                  {d.count, h.count, w.count},
                  {},
                  num_taps_,
                  neighbours ? static_cast<int32_t>(w.taps.size()) : 1,
                  {}};
        for (const AxisTap& td : d.taps) {
          for (const AxisTap& th : h.taps) {
            for (const AxisTap& tw : w.taps) {
              one.taps.push_back({td.offset, th.offset, tw.offset,
                                  (td.k * g.kernel.h + th.k) * g.kernel.w + tw.k});
            }
          }
        }
        num_taps_ += static_cast<int64_t>(one.taps.size());
        classes_.push_back(std::move(one));
      }
    }
  }
}

void CorrelationKernel::build_groups(Isa isa) {
  const auto most = static_cast<size_t>(WM_PICK_ISA(isa, correlation_max_destinations)());
  const int64_t source_channels = problem_.source_channels();
  const bool all_blocked = std::none_of(source_blocks_.begin(), source_blocks_.end(),
                                        [](const ChannelBlock& block) { return block.plain; });
  int64_t offset = 0;
  for (size_t block = 0; block < destination_blocks_.size();) {
    Group group = next_group(block, most);
    group.weights_offset = offset;
    group.few = group.num_blocks == 1 && destination_blocks_[block].plain && all_blocked;
    groups_.push_back(group);
    const int64_t lane_vectors =
        group.few ? static_cast<int64_t>(source_blocks_.size()) * few_channels(group) * 16
                  : source_channels * group.lane_floats();
    offset = checked_add(offset, checked_multiply(lane_vectors, num_taps_));
    block += static_cast<size_t>(group.num_blocks);
  }
  shared_bytes_ = static_cast<size_t>(checked_multiply(offset, sizeof(float)));
}

bool CorrelationKernel::takes_halves() const {
  return WM_PICK_ISA(isa_, correlation_takes_halves)() &&
         !takes_short_rows(problem_.geometry.w.count) &&
         std::all_of(source_blocks_.begin(), source_blocks_.end(), [](const ChannelBlock& source) {
           return !source.plain && source.lanes % 2 == 0;
         });
}

CorrelationKernel::Group CorrelationKernel::next_group(size_t first, size_t most) const {
  const bool halves = takes_halves();
  const auto is_blocked = [&](size_t block) {
    return block < destination_blocks_.size() && !destination_blocks_[block].plain;
  };
  const auto is_half = [&](size_t block) {
    return halves && is_blocked(block) && destination_blocks_[block].lanes <= 8;
  };
  Group group{first};
  if (is_half(first)) {
    group.halves = 1;
  } else if (is_blocked(first) && is_half(first + 1)) {
    group.num_blocks = 2;
    group.halves = 3;
  } else if (first + 1 < destination_blocks_.size() && most > 1 && !is_half(first + 2)) {
    group.num_blocks = 2;
  } else if (halves && is_blocked(first)) {
    // Runs of taps read even less.
    const bool runs = std::all_of(classes_.begin(), classes_.end(),
                                  [](const Class& one) { return one.tap_run > 1; });
    group.halves = runs ? 0 : 2;
  }
  return group;
}

int64_t CorrelationKernel::tile_voxels(const Group& group, const Class& one) const {
  return WM_PICK_ISA(isa_, correlation_tile_voxels)(group.num_blocks, group.halves, one.tap_run);
}

}  // namespace wholemount
