#include "wholemount/ops/pool/max_pool_rows.h"

#include "wholemount/base/simd/f16_math.h"
#include "wholemount/base/simd/f16_shuffle.h"

namespace wholemount::WM_ISA {

namespace {

struct Maximum {
  F16 value;
  F16 tap;
};

/// What is noted of a maximum's position.
F16 noted_tap(const MaxPoolRow& row, F16 value, F16 tap) {
  return row.positive_taps ? select_greater(value, F16::zero(), tap, F16::set1(kNoTap)) : tap;
}

/// The maxima of the window of which w taps [kw_begin, kw_end) lie in the input; `x` is its tap
/// (0, 0, 0).
template <bool kWithTap, class Element>
Maximum maximum_of(const MaxPoolRow& row, const LoadTransform16& transform, const Element* x,
                   int64_t kw_begin, int64_t kw_end) {
  Maximum best{transform.apply(F16::load(x + kw_begin * 16)),
               F16::set1(static_cast<float>(row.first_tap + kw_begin))};
  for (int64_t kd = 0; kd < row.taps_d; ++kd) {
    for (int64_t kh = 0; kh < row.taps_h; ++kh) {
      const Element* line = x + kd * row.plane_pitch + kh * row.row_pitch;
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

/// The same for up to kNeighbours windows whose taps along w all lie in the input, input row by
/// input row: large windows are then read in long stretches, which the prefetcher can follow.
constexpr int64_t kNeighbours = 16;
template <bool kWithTap, class Element>
void neighbouring_windows(const MaxPoolRow& row, const LoadTransform16& transform, int64_t ow,
                          int64_t count) {
  const Element* x = static_cast<const Element*>(row.x) + (ow * row.stride_w - row.padding_w) * 16;
  const int64_t step = row.stride_w * 16;
  Maximum best[kNeighbours];
  for (int64_t i = 0; i < count; ++i) {
    best[i] = {transform.apply(F16::load(x + i * step)),
               F16::set1(static_cast<float>(row.first_tap))};
  }
  for (int64_t kd = 0; kd < row.taps_d; ++kd) {
    for (int64_t kh = 0; kh < row.taps_h; ++kh) {
      const Element* line = x + kd * row.plane_pitch + kh * row.row_pitch;
      const int64_t tap = row.first_tap + kd * row.tap_plane_pitch + kh * row.kernel_w;
      for (int64_t i = 0; i < count; ++i) {
        Maximum here = best[i];
        for (int64_t kw = 0; kw < row.kernel_w; ++kw) {
          const F16 value = transform.apply(F16::load(line + i * step + kw * 16));
          if (kWithTap) {
            here.tap = select_greater(value, here.value, F16::set1(static_cast<float>(tap + kw)),
                                      here.tap);
          }
          here.value = max(value, here.value);
        }
        best[i] = here;
      }
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    if (row.y != nullptr) best[i].value.store(row.y + (ow + i) * 16);
    if (kWithTap) noted_tap(row, best[i].value, best[i].tap).store(row.tap + (ow + i) * 16);
  }
}

/// Windows from `ow` on, at most `most`, whose taps along w all lie in the input.
int64_t whole_windows(const MaxPoolRow& row, int64_t ow, int64_t most) {
  const int64_t first = ow * row.stride_w - row.padding_w;
  if (first < 0 || first + row.kernel_w > row.width) return 0;
  const int64_t fitting = (row.width - row.kernel_w - first) / row.stride_w + 1;
  const int64_t left = row.num_outputs - ow;
  const int64_t count = fitting < left ? fitting : left;
  return count < most ? count : most;
}

template <bool kWithTap, class Element>
void blocked_row(const MaxPoolRow& row, const LoadTransform16& transform) {
  constexpr int64_t kLargeWindow = 4;
  for (int64_t ow = 0; ow < row.num_outputs;) {
    const int64_t whole = row.kernel_w < kLargeWindow ? 0 : whole_windows(row, ow, kNeighbours);
    if (whole > 0) {
      neighbouring_windows<kWithTap, Element>(row, transform, ow, whole);
      ow += whole;
      continue;
    }
    const int64_t first = ow * row.stride_w - row.padding_w;
    const int64_t kw_begin = first < 0 ? -first : 0;
    const int64_t kw_end = first + row.kernel_w > row.width ? row.width - first : row.kernel_w;
    const Maximum best = maximum_of<kWithTap>(
        row, transform, static_cast<const Element*>(row.x) + first * 16, kw_begin, kw_end);
    if (row.y != nullptr) best.value.store(row.y + ow * 16);
    if (kWithTap) noted_tap(row, best.value, best.tap).store(row.tap + ow * 16);
    ++ow;
  }
}

template <class Element>
void blocked_row(const MaxPoolRow& row, const LoadTransform16& transform) {
  row.tap != nullptr ? blocked_row<true, Element>(row, transform)
                     : blocked_row<false, Element>(row, transform);
}

/// Maxima of windows that lie side by side or apart: of the columns first, row by row, then of each
/// window's columns. Of equal ones the first position wins.
constexpr int64_t kColumns = 1024;
template <bool kWithTap>
void plain_maxima(const MaxPoolRow& row, const LoadTransform16& transform, int64_t ow,
                  int64_t count) {
  alignas(64) float columns[kColumns + 16];
  alignas(64) float taps[kWithTap ? kColumns + 16 : 16];
  const float* x = static_cast<const float*>(row.x) + ow * row.stride_w - row.padding_w;
  const int64_t num_columns = (count - 1) * row.stride_w + row.kernel_w;
  bool is_first = true;
  for (int64_t kd = 0; kd < row.taps_d; ++kd) {
    for (int64_t kh = 0; kh < row.taps_h; ++kh, is_first = false) {
      const float* line = x + kd * row.plane_pitch + kh * row.row_pitch;
      const F16 tap = F16::set1(
          static_cast<float>(row.first_tap + kd * row.tap_plane_pitch + kh * row.kernel_w));
      for (int64_t i = 0; i < num_columns; i += 16) {
        const F16 value = transform.apply(load_some(line + i, num_columns - i));
        const F16 best = is_first ? value : F16::load(columns + i);
        if (kWithTap) {
          (is_first ? tap : select_greater(value, best, tap, F16::load(taps + i))).store(taps + i);
        }
        max(value, best).store(columns + i);
      }
    }
  }
  for (int64_t o = 0; o < count; o += 16) {
    const int64_t some = count - o < 16 ? count - o : 16;
    const int64_t first = o * row.stride_w;
    F16 best = load_some_strided(columns + first, row.stride_w, some);
    F16 best_tap = kWithTap ? load_some_strided(taps + first, row.stride_w, some) : F16::zero();
    for (int64_t kw = 1; kw < row.kernel_w; ++kw) {
      const F16 value = load_some_strided(columns + first + kw, row.stride_w, some);
      if (kWithTap) {
        const F16 tap = load_some_strided(taps + first + kw, row.stride_w, some) +
                        F16::set1(static_cast<float>(kw));
        const F16 if_equal = select_equal(value, best, min(tap, best_tap), best_tap);
        best_tap = select_greater(value, best, tap, if_equal);
      }
      best = max(value, best);
    }
    if (row.y != nullptr) store_some(best, row.y + ow + o, some);
    if (kWithTap) store_some(noted_tap(row, best, best_tap), row.tap + ow + o, some);
  }
}

/// Windows [ow, ow + count), count <= 16, all with w taps [kw_begin, kw_end) in the input. One
/// channel: all lanes of the transform are alike.
void plain_windows(const MaxPoolRow& row, const LoadTransform16& transform, int64_t ow,
                   int64_t count, int64_t kw_begin, int64_t kw_end) {
  const float* x = static_cast<const float*>(row.x) + ow * row.stride_w - row.padding_w;
  const auto value_at = [&](const float* p) {
    return transform.apply(load_some_strided(p, row.stride_w, count));
  };
  F16 best = value_at(x + kw_begin);
  F16 best_tap = F16::set1(static_cast<float>(row.first_tap + kw_begin));
  for (int64_t kd = 0; kd < row.taps_d; ++kd) {
    for (int64_t kh = 0; kh < row.taps_h; ++kh) {
      const float* line = x + kd * row.plane_pitch + kh * row.row_pitch;
      const int64_t first = row.first_tap + kd * row.tap_plane_pitch + kh * row.kernel_w;
      for (int64_t kw = kw_begin; kw < kw_end; ++kw) {
        const F16 value = value_at(line + kw);
        const F16 tap = F16::set1(static_cast<float>(first + kw));
        best_tap = select_greater(value, best, tap, best_tap);
        best = max(value, best);
      }
    }
  }
  if (row.y != nullptr) store_some(best, row.y + ow, count);
  if (row.tap != nullptr) store_some(noted_tap(row, best, best_tap), row.tap + ow, count);
}

/// Voxels along w from which on plain windows are long.
constexpr int64_t kLongRow = 4;

/// Up to 16 neighbouring windows at a time where all their taps lie in the input, else one.
void plain_row(const MaxPoolRow& row, const LoadTransform16& transform) {
  // Short windows with positions: their steps along w cost more than their columns save.
  const bool apart = row.kernel_w <= row.stride_w && row.stride_w <= kColumns &&
                     (row.tap == nullptr || row.kernel_w >= kLongRow);
  int64_t ow = 0;
  while (ow < row.num_outputs) {
    if (apart) {
      const int64_t whole = whole_windows(row, ow, kColumns / row.stride_w);
      if (whole > 0) {
        row.tap != nullptr ? plain_maxima<true>(row, transform, ow, whole)
                           : plain_maxima<false>(row, transform, ow, whole);
        ow += whole;
        continue;
      }
    }
    const int64_t first = ow * row.stride_w - row.padding_w;
    const int64_t whole = whole_windows(row, ow, 16);
    const int64_t count = whole > 0 ? whole : 1;
    const int64_t kw_begin = first < 0 ? -first : 0;
    const int64_t kw_end = first + row.kernel_w > row.width ? row.width - first : row.kernel_w;
    plain_windows(row, transform, ow, count, kw_begin, kw_end);
    ow += count;
  }
}

}  // namespace

void max_pool_row(const MaxPoolRow& row) {
  const LoadTransform16 transform{F16::load(row.scale), F16::load(row.shift), F16::set1(row.slope)};
  if (row.block_width == 1) {
    plain_row(row, transform);
    return;
  }
  row.bfloat16 ? blocked_row<Bfloat16>(row, transform) : blocked_row<float>(row, transform);
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
          const F16 here = F16::set1(static_cast<float>(position + tap));
          sum = sum + select_equal(F16::load(taps + window * 16), here,
                                   F16::load(grad_y + window * 16), F16::zero());
        });
      }
    }
    if (row.stream) {
      sum.stream(row.grad_x + w * 16);
    } else {
      sum.store(row.grad_x + w * 16);
    }
  }
}

/// Windows of two voxels side by side, one row of them at most: a voxel belongs to one window.
bool are_pairs(const MaxPoolBackwardRow& row) {
  return row.kernel_w == 2 && row.stride_w == 2 && row.padding_w == 0 && row.windows_d == 1 &&
         row.windows_h == 1;
}

void plain_pairs_backward(const MaxPoolBackwardRow& row) {
  const F16 first = F16::set1(static_cast<float>(row.first_position));
  const F16 second = F16::set1(static_cast<float>(row.first_position + 1));
  const F16 zero = F16::zero();
  const auto base = [&](int64_t w, int64_t count) {
    return row.base != nullptr ? load_some(row.base + w, count) : zero;
  };
  for (int64_t o = 0; o < row.num_windows_w; o += 16) {
    const int64_t count = row.num_windows_w - o < 16 ? row.num_windows_w - o : 16;
    const F16 tap = load_some(row.tap + o, count);
    const F16 grad_y = load_some(row.grad_y + o, count);
    F16 low;
    F16 high;
    interleave(select_equal(tap, first, grad_y, zero), select_equal(tap, second, grad_y, zero), low,
               high);
    store_some(base(2 * o, 2 * count) + low, row.grad_x + 2 * o, 2 * count);
    if (count > 8) {
      const int64_t rest = 2 * count - 16;
      store_some(base(2 * o + 16, rest) + high, row.grad_x + 2 * o + 16, rest);
    }
  }
  for (int64_t w = 2 * row.num_windows_w; w < row.width; ++w) {
    row.grad_x[w] = row.base != nullptr ? row.base[w] : 0.0F;
  }
}

void copy_base(const MaxPoolBackwardRow& row) {
  for (int64_t w = 0; w < row.width; ++w) {
    row.grad_x[w] = row.base != nullptr ? row.base[w] : 0.0F;
  }
}

/// Long windows side by side or apart: one voxel of a window, if any, gets its gradient; the
/// others' first voxel gets zero, which costs less than a branch nobody can foresee.
void plain_apart_backward(const MaxPoolBackwardRow& row) {
  copy_base(row);
  for (int64_t od = 0; od < row.windows_d; ++od) {
    for (int64_t oh = 0; oh < row.windows_h; ++oh) {
      const float* grad_y = row.grad_y + od * row.grad_plane_pitch + oh * row.grad_row_pitch;
      const float* taps = row.tap + od * row.tap_plane_pitch + oh * row.tap_row_pitch;
      const auto position = static_cast<int32_t>(row.first_position - od * row.position_step_d -
                                                 oh * row.position_step_h);
      int64_t first = -row.padding_w;
      for (int64_t o = 0; o < row.num_windows_w; ++o, first += row.stride_w) {
        const int64_t kw = static_cast<int32_t>(taps[o]) - position;
        const bool is_here = static_cast<uint64_t>(kw) < static_cast<uint64_t>(row.kernel_w);
        const int64_t inside = first < 0 ? 0 : first;
        row.grad_x[is_here ? first + kw : inside] += is_here ? grad_y[o] : 0.0F;
      }
    }
  }
}

/// The stride of 2 known to the compiler.
struct Two {
  constexpr operator int64_t() const { return 2; }
};

/// Tap by tap from the last: so each voxel meets its windows in rising order.
template <class Stride>
void plain_backward_row(const MaxPoolBackwardRow& row, Stride stride) {
  copy_base(row);
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
  } else if (are_pairs(row)) {
    plain_pairs_backward(row);
  } else if (row.kernel_w >= kLongRow && row.kernel_w <= row.stride_w) {
    plain_apart_backward(row);
  } else if (row.stride_w == 2) {
    plain_backward_row(row, Two{});
  } else {
    plain_backward_row(row, row.stride_w);
  }
}

}  // namespace wholemount::WM_ISA
