#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// Element types. f64 is for reference runs in tests; u8 for label maps.
enum class DType : uint8_t { f32, f64, bf16, u8 };

[[nodiscard]] int64_t dtype_bytes(DType dtype);
[[nodiscard]] const char* dtype_name(DType dtype);

/// How elements lie in memory.
/// - plain:     [n][c][d][h][w]
/// - blocked16: [n][ceil(c/16)][d][h][w][16]; the lanes beyond c are zero. Every kernel that
///   writes a blocked tensor writes these lanes as zero, and may rely on them when reading.
enum class Layout : uint8_t { plain, blocked16 };

/// What a tensor is, without memory: shape [n, c, d, h, w], element type, layout. The layout is
/// the same on every instruction set.
struct TensorDesc {
  int64_t n = 1;
  int64_t c = 1;
  Extent3 extent;
  DType dtype = DType::f32;
  Layout layout = Layout::plain;

  friend bool operator==(const TensorDesc&, const TensorDesc&) = default;

  /// An activation: blocked by 16 channels, except tensors of 1 to 4 channels (images, logits)
  /// and of type u8 or f64, which are plain.
  static TensorDesc activation(int64_t n, int64_t c, const Extent3& extent,
                               DType dtype = DType::f32);
  /// A plain tensor: parameters, statistics, targets.
  static TensorDesc plain(int64_t n, int64_t c, const Extent3& extent, DType dtype = DType::f32);

  /// Channels that lie side by side at one voxel: 16 or 1.
  [[nodiscard]] int64_t block_width() const { return layout == Layout::blocked16 ? 16 : 1; }
  /// Channel blocks of one sample.
  [[nodiscard]] int64_t num_blocks() const { return divide_up(c, block_width()); }
  /// n * c * d * h * w; throws ShapeError on overflow.
  [[nodiscard]] int64_t num_elements() const;
  /// Elements stored, padding lanes included; throws ShapeError on overflow.
  [[nodiscard]] int64_t storage_elements() const;
  /// Bytes stored; throws ShapeError on overflow.
  [[nodiscard]] size_t bytes() const;
};

/// "n1 c32 96x96x96 f32"
[[nodiscard]] std::string to_string(const TensorDesc& desc);

/// Rows of a statistics tensor (see LoadTransform): plain f32 (f64 in reference runs),
/// c = kNumRows, extent {1, 1, round_up(channels, 16)}; lanes beyond `channels` are zero.
struct StatisticsRow {
  enum : int64_t { mean = 0, variance = 1, rstd = 2, scale = 3, shift = 4, kNumRows = 5 };
};
[[nodiscard]] TensorDesc statistics_desc(int64_t channels, DType dtype = DType::f32);

/// Rows of the moments of a volume (Op::with_moments): the mean of each channel and the sum of its
/// squared deviations from it. Plain f64, c = kNumRows, extent {1, 1, round_up(channels, 16)};
/// lanes beyond `channels` are zero.
struct MomentsRow {
  enum : int64_t { mean = 0, m2 = 1, kNumRows = 2 };
};
[[nodiscard]] TensorDesc moments_desc(int64_t channels);

}  // namespace wholemount
