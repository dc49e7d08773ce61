#include "wholemount/ops/conv/row_winograd_source.h"

#include <algorithm>

#include "wholemount/ops/conv/channel_blocks.h"

namespace wholemount {

namespace {

/// Of a strip's ring: a part of a core's L2 cache.
constexpr int64_t kStripBytes = int64_t{512} << 10;

}  // namespace

RowWinogradSource::RowWinogradSource(const CorrelationGeometry& geometry, const RowTileShape& shape,
                                     int64_t channels, int64_t max_rows)
    : shape_(shape),
      channels_(channels),
      num_planes_(static_cast<int64_t>(geometry.d.classes.front().taps.size())),
      source_rows_(geometry.h.span(kRowsTogether)),
      planes_(geometry.d.span(1)),
      ring_rows_(planes_ == 1 ? source_rows_ : geometry.h.span(round_up(max_rows, kRowsTogether))) {
  if (planes_ == 1) {
    const int64_t tiles = divide_up(geometry.w.count, shape_.outputs);
    const int64_t tile_bytes = ring_rows_ * channels * kRowRecord * int64_t{sizeof(float)};
    strip_tiles_ = std::clamp(kStripBytes / tile_bytes / kRowTilesTogether * kRowTilesTogether,
                              kRowTilesTogether, round_up(tiles, kRowTilesTogether));
  }
  row_floats_ = checked_multiply(channels, channel_pitch());
  checked_multiply(checked_multiply(planes_, ring_rows_), row_floats_);
}

void RowWinogradSource::begin(Load& load) const {
  const int64_t x = load.first_tile * shape_.outputs + load.geometry->w.min_offset;
  const int64_t voxels = (load.tiles - 1) * shape_.outputs + shape_.points();
  const TensorView& view = load.input->view;
  const BlockTransform transform =
      block_transform(load.input->transform, {0, 0, static_cast<int32_t>(channels_), 0, true});
  load.planes = 0;
  load.rows = 0;
  load.begin_w = std::max(x, load.source.begin.w);
  load.count_w = load.source.empty() ? 0 : std::min(x + voxels, load.source.end.w) - load.begin_w;
  RowWinogradInput& row = load.row;
  row = {};
  row.tile = shape_.tile;
  row.columns = load.columns;
  row.channel_pitch = view.block_pitch;
  row.channels = static_cast<int32_t>(channels_);
  row.zeros_before = load.begin_w - x;
  row.transformed = transform.active;
  row.scale = transform.scale;
  row.shift = transform.shift;
  row.slope = transform.slope;
  row.num_tiles = load.tiles;
  row.buffer = load.buffer;
  row.records_pitch = channel_pitch();
}

void RowWinogradSource::bring(Load& load, Isa isa, int64_t d, int64_t row) const {
  const int64_t first = d * load.geometry->d.source_step;
  if (planes_ == 1) {
    const int64_t from = row == 0 ? 0 : load.rows;
    load.rows = row + source_rows_;
    load_rows(load, isa, first, from, load.rows);
    return;
  }
  const int64_t rows =
      load.geometry->h.span(round_up(load.box.end.h - load.box.begin.h, kRowsTogether));
  for (load.planes = std::max(load.planes, first); load.planes < first + planes_; ++load.planes) {
    load_rows(load, isa, load.planes, 0, rows);
  }
}

RowsAhead RowWinogradSource::rows_ahead(const Load& load, int64_t d, int64_t row, int64_t tile,
                                        int64_t tiles) const {
  const CorrelationGeometry& g = *load.geometry;
  const TensorView& view = load.input->view;
  const Box3& held = load.source;
  const int64_t z = (load.box.begin.d + d) * g.d.source_step + g.d.min_offset;
  const int64_t y = load.box.begin.h + g.h.min_offset + row + source_rows_;
  const int64_t x = (load.first_tile + tile) * shape_.outputs + g.w.min_offset;
  const int64_t begin = std::max(x, held.begin.w);
  const int64_t end = std::min(x + tiles * shape_.outputs, held.end.w);
  const int64_t rows = std::min(kRowsTogether, held.end.h - y);
  RowsAhead ahead{};
  if (planes_ > 1 || rows <= 0 || y < held.begin.h || z < held.begin.d || z >= held.end.d ||
      begin >= end) {
    return ahead;
  }
  ahead.begin = view.at<float>(load.n, 0, z, y, begin);
  ahead.row_pitch = view.row_pitch;
  ahead.channel_pitch = view.block_pitch;
  ahead.rows = static_cast<int32_t>(rows);
  ahead.channels = static_cast<int32_t>(channels_);
  ahead.count = end - begin;
  return ahead;
}

void RowWinogradSource::point_rows(const Load& load, int64_t d, int64_t row, int64_t tile,
                                   const float** rows) const {
  const CorrelationAxis& axis = load.geometry->d;
  for (const AxisTap& tap : axis.classes.front().taps) {
    const int64_t plane = d * axis.source_step + tap.offset - axis.min_offset;
    int64_t slot = row % ring_rows_;
    for (int64_t y = 0; y < source_rows_; ++y) {
      *rows++ = records_of(load, plane, slot) + tile * kRowRecord;
      slot = slot + 1 == ring_rows_ ? 0 : slot + 1;
    }
  }
}

void RowWinogradSource::load_rows(Load& load, Isa isa, int64_t plane, int64_t first,
                                  int64_t last) const {
  const CorrelationGeometry& g = *load.geometry;
  const Box3& held = load.source;
  const auto transform = WM_PICK_ISA(isa, row_winograd_input);
  const int64_t z = load.box.begin.d * g.d.source_step + g.d.min_offset + plane;
  const int64_t y = load.box.begin.h + g.h.min_offset;
  const bool inside = load.count_w > 0 && z >= held.begin.d && z < held.end.d;
  const float* source = load.input->view.at<float>(load.n, 0, z, y + first, load.begin_w);
  int64_t slot = first % ring_rows_;
  for (int64_t row = first; row < last; ++row) {
    load.row.source = source;
    load.row.count = inside && y + row >= held.begin.h && y + row < held.end.h ? load.count_w : 0;
    load.row.records = records_of(load, plane, slot);
    transform(load.row);
    source += load.input->view.row_pitch;
    slot = slot + 1 == ring_rows_ ? 0 : slot + 1;
  }
}

}  // namespace wholemount
