#include "wholemount/ops/conv/source_lines.h"

#include <algorithm>

namespace wholemount {

SourceLines::SourceLines(const CorrelationGeometry& geometry, int64_t max_rows, int64_t max_columns,
                         size_t blocks)
    : blocks_(static_cast<int64_t>(blocks)),
      planes_(geometry.d.span(1)),
      rows_(geometry.h.span(max_rows)),
      zero_floats_(checked_multiply(geometry.w.span(max_columns), 16)) {}

bool SourceLines::can_be_in_place(const CorrelationGeometry& geometry) {
  const CorrelationAxis& w = geometry.w;
  return geometry.d.classes.size() == 1 && geometry.h.classes.size() == 1 &&
         w.classes.size() == 1 && w.source_step == 1 && w.destination_step == 1 &&
         w.classes.front().taps.size() == 3 && w.max_offset == w.min_offset + 2 &&
         w.min_offset >= -1 && w.count - 1 + w.max_offset <= w.source_extent;
}

void SourceLines::find_in_ring(const SourceRing& ring, const SourceRing::Load& load, int64_t jd,
                               const float** lines) const {
  const CorrelationGeometry& g = *load.geometry;
  const int64_t step = g.h.source_step;
  for (size_t block = 0; block < load.blocks.size(); ++block) {
    for (int64_t plane = 0; plane < planes_; ++plane) {
      // A ring keeps the rows of each residue of the step together.
      for (int64_t phase = 0; phase < std::min(step, rows_); ++phase) {
        const float* line = load.block_scratch[block] +
                            16 * ring.tap_offset(g, jd - load.box.begin.d, g.d.min_offset + plane,
                                                 g.h.min_offset + phase, g.w.min_offset);
        for (int64_t row = phase; row < rows_; row += step, line += 16 * ring.columns()) {
          lines[row] = line;
        }
      }
      lines += rows_;
    }
  }
}

void SourceLines::find_in_place(const SourceRing::Load& load, int64_t jd, const float* zeros,
                                const float** lines) const {
  const CorrelationGeometry& g = *load.geometry;
  const int64_t z0 = jd * g.d.source_step + g.d.min_offset;
  const int64_t y0 = load.box.begin.h * g.h.source_step + g.h.min_offset;
  const Box3& held = load.source;
  for (const ChannelBlock& block : load.blocks) {
    const TensorView& view = load.tensors[static_cast<size_t>(block.tensor)].view;
    for (int64_t z = z0; z < z0 + planes_; ++z) {
      const bool plane_inside = !held.empty() && z >= held.begin.d && z < held.end.d;
      for (int64_t y = y0; y < y0 + rows_; ++y) {
        const bool inside = plane_inside && y >= held.begin.h && y < held.end.h;
        *lines++ =
            inside ? view.at<float>(load.n, block.block, z, y, load.box.begin.w + g.w.min_offset)
                   : zeros;
      }
    }
  }
}

}  // namespace wholemount
