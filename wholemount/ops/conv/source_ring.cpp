#include "wholemount/ops/conv/source_ring.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/rows.h"

namespace wholemount {

LineRange lines_of_voxels(const TensorView& view, int64_t n, int64_t block, int64_t d, int64_t h,
                          int64_t w, int64_t voxels) {
  return {static_cast<const float*>(view.address(n, block, d, h, w)),
          view.is_bfloat16() ? divide_up(voxels, 2) : voxels};
}

SourceRing::SourceRing(const CorrelationGeometry& geometry, int64_t max_rows, int64_t max_columns,
                       int64_t slack_voxels, int64_t planes)
    : depth_(geometry.d.span(planes)),
      phases_h_(std::min(geometry.h.source_step, geometry.h.span(max_rows))),
      phases_w_(std::min(geometry.w.source_step, geometry.w.span(max_columns))),
      rows_(divide_up(geometry.h.span(max_rows), geometry.h.source_step)),
      columns_(divide_up(geometry.w.span(max_columns), geometry.w.source_step)) {
  plane_voxels_ =
      checked_multiply(checked_multiply(phases_h_, phases_w_), checked_multiply(rows_, columns_));
  block_voxels_ = checked_add(checked_multiply(plane_voxels_, depth_), slack_voxels);
}

int64_t SourceRing::tap_offset(const CorrelationGeometry& geometry, int64_t plane, int64_t od,
                               int64_t oh, int64_t ow) const {
  const int64_t z = (plane * geometry.d.source_step + od - geometry.d.min_offset) % depth_;
  const int64_t y = oh - geometry.h.min_offset;
  const int64_t x = ow - geometry.w.min_offset;
  const int64_t step_h = geometry.h.source_step;
  const int64_t step_w = geometry.w.source_step;
  const int64_t phase = (y % step_h) * phases_w_ + x % step_w;
  return z * plane_voxels_ + (phase * rows_ + y / step_h) * columns_ + x / step_w;
}

void SourceRing::load_planes(const Load& load, Isa isa, int64_t jd, int64_t& loaded) const {
  const int64_t first = jd * load.geometry->d.source_step;
  const int64_t end = first + depth_;
  loaded = std::max(loaded, first);
  for (; loaded < end; ++loaded) {
    for (size_t block = 0; block < load.blocks.size(); ++block) {
      load_plane(load, isa, block, loaded);
    }
  }
}

int64_t SourceRing::lines_ahead(const Load& load, int64_t jd, int64_t loaded, bool in_halves,
                                LineRange* ranges) const {
  const CorrelationGeometry& g = *load.geometry;
  const Box3& held = load.source;
  const int64_t first = (jd + 1) * g.d.source_step;
  int64_t count = 0;
  if (jd + 1 >= load.box.end.d || held.empty()) return 0;
  for (int64_t plane = std::max(loaded, first); plane < first + depth_; ++plane) {
    const int64_t z = plane + g.d.min_offset;
    if (z < held.begin.d || z >= held.end.d) continue;
    for (const ChannelBlock& block : load.blocks) {
      if (block.plain) continue;
      const TensorView& view = load.tensors[static_cast<size_t>(block.tensor)].view;
      const Extent3 size = held.extent();
      const LineRange all =
          lines_of_voxels(view, load.n, block.block, z, held.begin.h, held.begin.w,
                          (size.h - 1) * view.row_pitch / 16 + size.w);
      const int64_t piece = in_halves ? divide_up(all.lines, 2) : all.lines;
      ranges[count++] = {all.begin, piece};
      if (in_halves) ranges[count++] = {all.begin + (all.lines - piece) * 16, piece};
    }
  }
  return count;
}

void SourceRing::load_plane(const Load& load, Isa isa, size_t block_index,
                            int64_t relative_plane) const {
  const CorrelationGeometry& g = *load.geometry;
  const ChannelBlock& block = load.blocks[block_index];
  const InputView& input = load.tensors[static_cast<size_t>(block.tensor)];
  const BlockTransform transform = block_transform(input.transform, block);
  const auto copy = WM_PICK_ISA(isa, copy_row);
  const int64_t pitch = block.scratch_pitch();
  const int64_t step_w = g.w.source_step;
  const int64_t z = relative_plane + g.d.min_offset;
  const int64_t y0 = load.box.begin.h * g.h.source_step + g.h.min_offset;
  const int64_t x0 = load.box.begin.w * step_w + g.w.min_offset;
  const Box3& held = load.source;
  const bool plane_inside = !held.empty() && z >= held.begin.d && z < held.end.d;
  const int64_t slot = (relative_plane - load.box.begin.d * g.d.source_step) % depth_;
  float* plane = load.block_scratch[block_index] + slot * plane_voxels_ * pitch;

  RowCopy row{};
  row.source_step = step_w * (block.plain ? 1 : 16);
  row.channel_pitch = input.view.block_pitch;
  row.bfloat16 = input.view.is_bfloat16();
  row.channels = block.lanes;
  row.plain = block.plain;
  row.pitch = static_cast<int32_t>(pitch);
  row.transformed = transform.active;
  row.scale = transform.scale;
  row.shift = transform.shift;
  row.slope = transform.slope;
  for (int64_t phase_h = 0; phase_h < phases_h_; ++phase_h) {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t y = y0 + r * g.h.source_step + phase_h;
      const bool row_inside = plane_inside && y >= held.begin.h && y < held.end.h;
      for (int64_t phase_w = 0; phase_w < phases_w_; ++phase_w) {
        // Columns c with held.begin <= x + c * step < held.end hold voxels, the others zeros.
        const int64_t x = x0 + phase_w;
        int64_t begin = x >= held.begin.w ? 0 : divide_up(held.begin.w - x, step_w);
        int64_t end = held.end.w > x ? divide_up(held.end.w - x, step_w) : 0;
        begin = std::min(begin, columns_);
        end = row_inside ? std::clamp(end, begin, columns_) : begin;
        row.zeros_before = begin;
        row.count = end - begin;
        row.zeros_after = columns_ - end;
        row.destination = plane + ((phase_h * phases_w_ + phase_w) * rows_ + r) * columns_ * pitch;
        row.source = row.count == 0 ? nullptr
                                    : input.view.address(load.n, block.plain ? 0 : block.block, z,
                                                         y, x + begin * step_w);
        copy(row);
      }
    }
  }
}

Band choose_band(int64_t rows, int64_t columns,
                 FunctionRef<bool(int64_t rows, int64_t columns)> fits) {
  constexpr int64_t kWantedRows = 6;
  constexpr int64_t kMinColumns = 32;
  const int64_t wanted = std::min(rows, kWantedRows);
  Band band;
  for (int64_t parts = 1;; ++parts) {
    band = {1, divide_up(columns, parts)};
    while (band.rows < rows && fits(band.rows + 1, band.columns)) ++band.rows;
    if ((band.rows >= wanted && fits(band.rows, band.columns)) || band.columns <= kMinColumns) {
      break;
    }
  }
  band.rows = divide_up(rows, divide_up(rows, band.rows));
  return band;
}

}  // namespace wholemount
