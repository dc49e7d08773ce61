#pragma once

#include <cstdint>

#include "wholemount/ops/conv/source_ring.h"

namespace wholemount {

/// Where the source rows lie that a plane of a box of destinations touches: for inner loops that
/// take rows by pointers and therefore can read them from a SourceRing or where the tensor has
/// them, which spares copying (a quarter of the time of a convolution to one channel).
///
/// A table [block][plane][row] of pointers to the voxel that the tap of smallest offset along w
/// meets for the box's first column. The table belongs to the caller: size() pointers.
class SourceLines {
 public:
  SourceLines() = default;
  /// For boxes of at most `max_rows` x `max_columns` destinations and so many channel blocks.
  SourceLines(const CorrelationGeometry& geometry, int64_t max_rows, int64_t max_columns,
              size_t blocks);

  /// Whether sources of this geometry can be read in place: steps of 1 along w, three neighbouring
  /// taps, and at most the voxel before and the one behind a row outside the image.
  [[nodiscard]] static bool can_be_in_place(const CorrelationGeometry& geometry);

  [[nodiscard]] int64_t size() const { return blocks_ * block_lines(); }
  /// From a block's lines to the next one's.
  [[nodiscard]] int64_t block_lines() const { return planes_ * rows_; }
  /// Floats of a row of zeros, which stands for rows outside the image.
  [[nodiscard]] int64_t zero_floats() const { return zero_floats_; }
  /// The line of the box's first row for a tap; the next row's is geometry.h.source_step further.
  [[nodiscard]] int32_t line(const CorrelationGeometry& geometry, int64_t od, int64_t oh) const {
    return static_cast<int32_t>((od - geometry.d.min_offset) * rows_ + oh - geometry.h.min_offset);
  }

  /// The lines of destination plane jd in a ring that holds it.
  void find_in_ring(const SourceRing& ring, const SourceRing::Load& load, int64_t jd,
                    const float** lines) const;
  /// The same where the tensors have them, of blocked sources without a transform. `zeros` is a row
  /// of zeros. The voxel before and the one behind a row may lie outside the image: not to be read.
  void find_in_place(const SourceRing::Load& load, int64_t jd, const float* zeros,
                     const float** lines) const;

 private:
  int64_t blocks_ = 0;
  int64_t planes_ = 0;
  int64_t rows_ = 0;
  int64_t zero_floats_ = 0;
};

}  // namespace wholemount
