#pragma once

#include <cstdint>

#include "wholemount/base/cpu.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/row_winograd_shape.h"

namespace wholemount {

/// The transformed rows (B^T along w) of a planar source for a strip of tiles of a box of
/// destinations, in thread scratch: a ring of planes and rows, [plane][row][channel][tile] records,
/// with the LoadTransform applied and the zero padding in place. With one plane at a time it holds
/// the rows of kRowsTogether destination rows and strips of many tiles, for a core's L2 cache, so
/// that memory is walked along its rows; else all rows of the box.
class RowWinogradSource {
 public:
  RowWinogradSource() = default;
  /// For boxes of at most `max_rows` destination rows.
  RowWinogradSource(const CorrelationGeometry& geometry, const RowTileShape& shape,
                    int64_t channels, int64_t max_rows);

  [[nodiscard]] int64_t floats() const { return planes_ * ring_rows_ * row_floats_; }
  /// Row pointers of point_rows().
  [[nodiscard]] int64_t num_pointers() const { return num_planes_ * source_rows_; }
  [[nodiscard]] int64_t channel_pitch() const { return strip_tiles_ * kRowRecord; }
  /// Tiles that are held at once, at most.
  [[nodiscard]] int64_t strip_tiles() const { return strip_tiles_; }
  /// Floats of Load::buffer.
  [[nodiscard]] int64_t buffer_floats() const {
    return row_winograd_buffer(strip_tiles_ * shape_.outputs);
  }

  /// What is loaded, and how far it is; members below `records` belong to begin() and load().
  struct Load {
    const CorrelationGeometry* geometry = nullptr;
    const InputView* input = nullptr;
    int64_t n = 0;
    Box3 box;                ///< destinations j
    Box3 source;             ///< geometry->source_box(box): all else is taken as zero, never read
    int64_t first_tile = 0;  ///< of the strip
    int32_t tiles = 1;       ///< of the strip
    const float* columns = nullptr;  ///< of row_winograd_columns()
    float* buffer = nullptr;         ///< buffer_floats()
    float* records = nullptr;        ///< floats()
    RowWinogradInput row;            ///< of the rows of these tiles
    int64_t begin_w = 0;             ///< first voxel of the strip's rows that exists
    int64_t count_w = 0;             ///< voxels of the strip's rows that exist
    int64_t planes = 0;              ///< source planes of the box loaded so far
    int64_t rows = 0;                ///< source rows of the plane loaded so far
  };
  /// To be called when n, box, strip or memory change.
  void begin(Load& load) const;
  /// Brings in what the destination rows of plane `d` from `row` on, both counted in the box,
  /// touch. Rows come in steps of kRowsTogether from 0 on, planes from 0 on.
  void load(Load& load, Isa isa, int64_t d, int64_t row) const;
  /// What the next load() will read for `tiles` tiles from `tile` of the strip on.
  [[nodiscard]] RowsAhead rows_ahead(const Load& load, int64_t d, int64_t row, int64_t tile,
                                     int64_t tiles) const;
  /// The records from `tile` of the strip on of the first channel of [tap along d][source row] for
  /// these destination rows.
  void point_rows(const Load& load, int64_t d, int64_t row, int64_t tile, const float** rows) const;

 private:
  /// Source rows first .. last - 1 of the box, of its source plane `plane`.
  void load_rows(Load& load, Isa isa, int64_t plane, int64_t first, int64_t last) const;
  /// `row` of the ring.
  [[nodiscard]] float* records_of(const Load& load, int64_t plane, int64_t row) const {
    return load.records + ((plane % planes_) * ring_rows_ + row) * row_floats_;
  }

  RowTileShape shape_;
  int64_t channels_ = 1;
  int64_t num_planes_ = 1;   ///< taps along d
  int64_t source_rows_ = 1;  ///< of kRowsTogether destination rows
  int64_t planes_ = 1;       ///< of the ring
  int64_t ring_rows_ = 1;
  int64_t strip_tiles_ = kRowTilesTogether;
  int64_t row_floats_ = 0;
};

}  // namespace wholemount
