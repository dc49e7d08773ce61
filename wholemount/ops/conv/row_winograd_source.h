#pragma once

#include <algorithm>
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
  /// Floats of Load::buffer.
  [[nodiscard]] int64_t buffer_floats() const {
    return row_winograd_buffer(strip_tiles_ * shape_.outputs);
  }

  /// What is loaded, and how far it is; members below `records`, and the
  /// strip, belong to for_each_block().
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
  /// Walks over load.box: strips of tiles, in them planes, kRowsTogether rows at a time, and
  /// kRowTilesTogether tiles. Calls body(d, row, tile), d and row counted in the box and tile in
  /// load's strip, when `rows` holds the rows of point_rows() for them.
  template <class Body>
  void for_each_block(Load& load, Isa isa, const float** rows, const Body& body) const {
    const int64_t tiles = divide_up(load.geometry->w.count, shape_.outputs);
    const Extent3 size = load.box.extent();
    for (load.first_tile = 0; load.first_tile < tiles; load.first_tile += strip_tiles_) {
      load.tiles = static_cast<int32_t>(std::min(strip_tiles_, tiles - load.first_tile));
      begin(load);
      for (int64_t d = 0; d < size.d; ++d) {
        for (int64_t row = 0; row < size.h; row += kRowsTogether) {
          bring(load, isa, d, row);
          for (int64_t tile = 0; tile < load.tiles; tile += kRowTilesTogether) {
            point_rows(load, d, row, tile, rows);
            body(d, row, tile);
          }
        }
      }
    }
  }
  /// What the next rows will read for `tiles` tiles from `tile` of the strip on.
  [[nodiscard]] RowsAhead rows_ahead(const Load& load, int64_t d, int64_t row, int64_t tile,
                                     int64_t tiles) const;

 private:
  /// To be called when n, box, strip or memory change.
  void begin(Load& load) const;
  /// Brings in what the destination rows of plane `d` from `row` on, both counted in the box,
  /// touch. Rows come in steps of kRowsTogether from 0 on, planes from 0 on.
  void bring(Load& load, Isa isa, int64_t d, int64_t row) const;
  /// The records from `tile` of the strip on of the first channel of [tap along d][source row] for
  /// these destination rows.
  void point_rows(const Load& load, int64_t d, int64_t row, int64_t tile, const float** rows) const;
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
  int64_t strip_tiles_ = kRowTilesTogether;  ///< that are held at once, at most
  int64_t row_floats_ = 0;
};

}  // namespace wholemount
