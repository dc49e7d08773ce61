#include "wholemount/ops/pool/max_pool_rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

/// Lanes `count` floats apart by `stride`; the rest repeat the first.
F16 load_strided(const float* p, int64_t stride, int64_t count) {
  float buffer[16];
  for (int64_t i = 0; i < 16; ++i) buffer[i] = p[i < count ? i * stride : 0];
  return F16::load(buffer);
}

void store_part(F16 value, float* p, int64_t count) {
  float buffer[16];
  value.store(buffer);
  for (int64_t i = 0; i < count; ++i) p[i] = buffer[i];
}

struct Maximum {
  F16 value;
  F16 tap;
};

/// The maxima of the windows of which w taps [kw_begin, kw_end) lie in the input; `load(p)` reads
/// the 16 lanes of the tap at p, `x` is tap (0, 0, 0) of the first window.
template <bool kWithTap, class Load>
Maximum maximum_of(const MaxPoolRow& row, const LoadTransform16& transform, const float* x,
                   int64_t kw_begin, int64_t kw_end, Load load) {
  Maximum best{transform.apply(load(x + kw_begin * row.block_width)),
               F16::set1(static_cast<float>(row.first_tap + kw_begin))};
  for (int64_t kd = 0; kd < row.taps_d; ++kd) {
    for (int64_t kh = 0; kh < row.taps_h; ++kh) {
      const float* line = x + kd * row.plane_pitch + kh * row.row_pitch;
      const int64_t tap = row.first_tap + kd * row.tap_plane_pitch + kh * row.kernel_w;
      for (int64_t kw = kw_begin; kw < kw_end; ++kw) {
        const F16 value = transform.apply(load(line + kw * row.block_width));
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
    const Maximum best = maximum_of<kWithTap>(row, transform, row.x + first * 16, kw_begin, kw_end,
                                              [](const float* p) { return F16::load(p); });
    if (row.y != nullptr) best.value.store(row.y + ow * 16);
    if (kWithTap) best.tap.store(row.tap + ow * 16);
  }
}

/// Sixteen neighbouring windows at a time where all their taps lie in the input, else one.
template <bool kWithTap>
void plain_row(const MaxPoolRow& row, const LoadTransform16& transform) {
  int64_t ow = 0;
  while (ow < row.num_outputs) {
    const int64_t first = ow * row.stride_w - row.padding_w;
    int64_t count = row.num_outputs - ow < 16 ? row.num_outputs - ow : 16;
    if (first < 0 || first + (count - 1) * row.stride_w + row.kernel_w > row.width) count = 1;
    const int64_t kw_begin = first < 0 ? -first : 0;
    const int64_t kw_end = first + row.kernel_w > row.width ? row.width - first : row.kernel_w;
    const Maximum best =
        maximum_of<kWithTap>(row, transform, row.x + first, kw_begin, kw_end,
                             [&](const float* p) { return load_strided(p, row.stride_w, count); });
    if (row.y != nullptr) store_part(best.value, row.y + ow, count);
    if (kWithTap) store_part(best.tap, row.tap + ow, count);
    ow += count;
  }
}

}  // namespace

void max_pool_row(const MaxPoolRow& row) {
  const LoadTransform16 transform{F16::load(row.scale), F16::load(row.shift), F16::set1(row.slope)};
  if (row.block_width == 16) {
    row.tap != nullptr ? blocked_row<true>(row, transform) : blocked_row<false>(row, transform);
  } else {
    row.tap != nullptr ? plain_row<true>(row, transform) : plain_row<false>(row, transform);
  }
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

}  // namespace

void max_pool_backward_row(const MaxPoolBackwardRow& row) {
  const int64_t bw = row.block_width;
  WindowsAlong along(row);
  for (int64_t w = 0; w < row.width; ++w, along.next()) {
    F16 sum = F16::zero();
    float plain_sum = 0.0F;
    if (row.base != nullptr) {
      if (bw == 16) {
        sum = F16::load(row.base + w * 16);
      } else {
        plain_sum = row.base[w];
      }
    }
    for (int64_t od = 0; od < row.windows_d; ++od) {
      for (int64_t oh = 0; oh < row.windows_h; ++oh) {
        const float* grad_y = row.grad_y + od * row.grad_plane_pitch + oh * row.grad_row_pitch;
        const float* taps = row.tap + od * row.tap_plane_pitch + oh * row.tap_row_pitch;
        const int64_t position =
            row.first_position - od * row.position_step_d - oh * row.position_step_h;
        for_each_window(row, along, [&](int64_t window, int64_t tap) {
          const auto here = static_cast<float>(position + tap);
          if (bw == 16) {
            // |tap - here| < 1/2, in terms of the one comparison there is.
            const F16 distance = F16::load(taps + window * 16) - F16::set1(here);
            const F16 hit = select_greater(F16::set1(0.25F), distance * distance,
                                           F16::load(grad_y + window * 16), F16::zero());
            sum = sum + hit;
          } else if (taps[window] == here) {
            plain_sum += grad_y[window];
          }
        });
      }
    }
    if (bw == 16) {
      sum.store(row.grad_x + w * 16);
    } else {
      row.grad_x[w] = plain_sum;
    }
  }
}

}  // namespace wholemount::WM_ISA
