#include "wholemount/ops/pool/max_pool_rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

struct Maximum {
  F16 value;
  F16 tap;
};

/// The maxima of the window of which w taps [kw_begin, kw_end) lie in the input; `x` is its tap
/// (0, 0, 0).
template <bool kWithTap>
Maximum maximum_of(const MaxPoolRow& row, const LoadTransform16& transform, const float* x,
                   int64_t kw_begin, int64_t kw_end) {
  Maximum best{transform.apply(F16::load(x + kw_begin * 16)),
               F16::set1(static_cast<float>(row.first_tap + kw_begin))};
  for (int64_t kd = 0; kd < row.taps_d; ++kd) {
    for (int64_t kh = 0; kh < row.taps_h; ++kh) {
      const float* line = x + kd * row.plane_pitch + kh * row.row_pitch;
      const int64_t tap = row.first_tap + kd * row.tap_plane_pitch + kh * row.kernel_w;
      for (int64_t kw = kw_begin; kw < kw_end; ++kw) {
        const F16 value = transform.apply(F16::load(line + kw * 16));
        if (kWithTap) {
          best.tap =
              select_greater(value, best.value, F16::set1(static_cast<float>(tap + kw)), best.tap);
        }
        best.value = max(value, best.value);
      }
    }
  }
  return best;
}

template <bool kWithTap>
void blocked_row(const MaxPoolRow& row, const LoadTransform16& transform) {
  for (int64_t ow = 0; ow < row.num_outputs; ++ow) {
    const int64_t first = ow * row.stride_w - row.padding_w;
    const int64_t kw_begin = first < 0 ? -first : 0;
    const int64_t kw_end = first + row.kernel_w > row.width ? row.width - first : row.kernel_w;
    const Maximum best = maximum_of<kWithTap>(row, transform, row.x + first * 16, kw_begin, kw_end);
    if (row.y != nullptr) best.value.store(row.y + ow * 16);
    if (kWithTap) best.tap.store(row.tap + ow * 16);
  }
}

/// The stride of 2 known to the compiler, which then loads vectors.
struct Two {
  constexpr operator int64_t() const { return 2; }
};

/// Windows [ow, ow + count), count <= 64, all with w taps [kw_begin, kw_end) in the input. One
/// channel: scale[0] and shift[0] are those of all lanes.
template <class Stride>
void plain_windows(const MaxPoolRow& row, Stride stride, int64_t ow, int64_t count,
                   int64_t kw_begin, int64_t kw_end) {
  const float scale = row.scale[0];
  const float shift = row.shift[0];
  const float slope = row.slope;
  float best[64];
  float best_tap[64];
  bool begun = false;
  for (int64_t kd = 0; kd < row.taps_d; ++kd) {
    for (int64_t kh = 0; kh < row.taps_h; ++kh) {
      const float* line =
          row.x + kd * row.plane_pitch + kh * row.row_pitch + ow * stride - row.padding_w;
      const int64_t first = row.first_tap + kd * row.tap_plane_pitch + kh * row.kernel_w;
      for (int64_t kw = kw_begin; kw < kw_end; ++kw) {
        const auto tap = static_cast<float>(first + kw);
        for (int64_t i = 0; i < count; ++i) {
          const float z = line[i * stride + kw] * scale + shift;
          const float value = z > 0.0F ? z : z * slope;
          const bool wins = !begun || value > best[i];
          best[i] = wins ? value : best[i];
          best_tap[i] = wins ? tap : best_tap[i];
        }
        begun = true;
      }
    }
  }
  if (row.y != nullptr) {
    for (int64_t i = 0; i < count; ++i) row.y[ow + i] = best[i];
  }
  if (row.tap != nullptr) {
    for (int64_t i = 0; i < count; ++i) row.tap[ow + i] = best_tap[i];
  }
}

/// Up to 64 neighbouring windows at a time where all their taps lie in the input, else one.
template <class Stride>
void plain_row(const MaxPoolRow& row, Stride stride) {
  int64_t ow = 0;
  while (ow < row.num_outputs) {
    const int64_t first = ow * stride - row.padding_w;
    const int64_t fitting = first < 0 || first + row.kernel_w > row.width
                                ? 1
                                : (row.width - row.kernel_w - first) / row.stride_w + 1;
    int64_t count = row.num_outputs - ow < 64 ? row.num_outputs - ow : 64;
    if (fitting < count) count = fitting;
    const int64_t kw_begin = first < 0 ? -first : 0;
    const int64_t kw_end = first + row.kernel_w > row.width ? row.width - first : row.kernel_w;
    plain_windows(row, stride, ow, count, kw_begin, kw_end);
    ow += count;
  }
}

}  // namespace

void max_pool_row(const MaxPoolRow& row) {
  if (row.block_width == 1) {
    row.stride_w == 2 ? plain_row(row, Two{}) : plain_row(row, row.stride_w);
    return;
  }
  const LoadTransform16 transform{F16::load(row.scale), F16::load(row.shift), F16::set1(row.slope)};
  row.tap != nullptr ? blocked_row<true>(row, transform) : blocked_row<false>(row, transform);
}

namespace {

/// Walks along w and keeps the range of windows that touch voxel w without dividing.
class WindowsAlong {
 public:
  explicit WindowsAlong(const MaxPoolBackwardRow& row)
      : row_(row), last_(row.padding_w / row.stride_w), rest_(row.padding_w % row.stride_w) {}

  void next() {
    if (++rest_ == row_.stride_w) {
      rest_ = 0;
      ++last_;
    }
  }
  /// The last window whose first tap is at or before w (may lie beyond the outputs).
  [[nodiscard]] int64_t last() const { return last_; }
  /// Tap of voxel w in window last().
  [[nodiscard]] int64_t tap() const { return rest_; }

 private:
  const MaxPoolBackwardRow& row_;
  int64_t last_;
  int64_t rest_;
};

/// Calls body(window, tap) for the windows that touch the voxel, in rising order.
template <class Body>
void for_each_window(const MaxPoolBackwardRow& row, const WindowsAlong& along, Body body) {
  const int64_t reach = row.kernel_w - 1 - along.tap();
  if (reach < 0) return;
  // The division only where windows overlap.
  for (int64_t k = reach < row.stride_w ? 0 : reach / row.stride_w; k >= 0; --k) {
    const int64_t window = along.last() - k;
    if (window >= 0 && window < row.num_windows_w) body(window, along.tap() + k * row.stride_w);
  }
}

void blocked_backward_row(const MaxPoolBackwardRow& row) {
  WindowsAlong along(row);
  for (int64_t w = 0; w < row.width; ++w, along.next()) {
    F16 sum = row.base != nullptr ? F16::load(row.base + w * 16) : F16::zero();
    for (int64_t od = 0; od < row.windows_d; ++od) {
      for (int64_t oh = 0; oh < row.windows_h; ++oh) {
        const float* grad_y = row.grad_y + od * row.grad_plane_pitch + oh * row.grad_row_pitch;
        const float* taps = row.tap + od * row.tap_plane_pitch + oh * row.tap_row_pitch;
        const int64_t position =
            row.first_position - od * row.position_step_d - oh * row.position_step_h;
        for_each_window(row, along, [&](int64_t window, int64_t tap) {
          // |taps - here| < 1/2, in terms of the one comparison there is.
          const F16 distance =
              F16::load(taps + window * 16) - F16::set1(static_cast<float>(position + tap));
          sum = sum + select_greater(F16::set1(0.25F), distance * distance,
                                     F16::load(grad_y + window * 16), F16::zero());
        });
      }
    }
    sum.store(row.grad_x + w * 16);
  }
}

/// Tap by tap from the last: so each voxel meets its windows in rising order.
template <class Stride>
void plain_backward_row(const MaxPoolBackwardRow& row, Stride stride) {
  for (int64_t w = 0; w < row.width; ++w) {
    row.grad_x[w] = row.base != nullptr ? row.base[w] : 0.0F;
  }
  for (int64_t od = 0; od < row.windows_d; ++od) {
    for (int64_t oh = 0; oh < row.windows_h; ++oh) {
      const float* grad_y = row.grad_y + od * row.grad_plane_pitch + oh * row.grad_row_pitch;
      const float* taps = row.tap + od * row.tap_plane_pitch + oh * row.tap_row_pitch;
      const int64_t position =
          row.first_position - od * row.position_step_d - oh * row.position_step_h;
      for (int64_t kw = row.kernel_w - 1; kw >= 0; --kw) {
        const auto here = static_cast<float>(position + kw);
        const int64_t shift = kw - row.padding_w;
        const int64_t begin = shift < 0 ? (-shift + stride - 1) / stride : 0;
        int64_t end = row.width > shift ? (row.width - 1 - shift) / stride + 1 : 0;
        if (end > row.num_windows_w) end = row.num_windows_w;
        float* grad_x = row.grad_x + shift;
#pragma GCC ivdep
        for (int64_t o = begin; o < end; ++o) {
          grad_x[o * stride] += taps[o] == here ? grad_y[o] : 0.0F;
        }
      }
    }
  }
}

}  // namespace

void max_pool_backward_row(const MaxPoolBackwardRow& row) {
  if (row.block_width == 16) {
    blocked_backward_row(row);
  } else if (row.stride_w == 2) {
    plain_backward_row(row, Two{});
  } else {
    plain_backward_row(row, row.stride_w);
  }
}

}  // namespace wholemount::WM_ISA
