#include "wholemount/ops/pool/max_pool_overlap_rows.h"

#include "wholemount/base/simd/f16_mask.h"
#include "wholemount/ops/pool/max_pool_rows.h"

namespace wholemount::WM_ISA {

namespace {

constexpr int64_t kKernelW = 3;
constexpr int64_t kStrideW = 2;

struct Maximum {
  F16 value;
  F16 tap;
  void join(F16 other, F16 other_tap) {
    tap = select_greater(other, value, other_tap, tap);
    value = max(other, value);
  }
};

/// One window of which w taps [kw_begin, kw_end) lie in the input; `x` is its tap (0, 0).
template <class Element>
Maximum clipped_window(const PlaneMaximaRow& row, const LoadTransform16& transform,
                       const Element* x, int64_t kw_begin, int64_t kw_end) {
  Maximum best{transform.apply(F16::load(x + kw_begin * 16)),
               F16::set1(static_cast<float>(row.first_tap + kw_begin))};
  for (int64_t kh = 0; kh < row.taps_h; ++kh) {
    for (int64_t kw = kw_begin; kw < kw_end; ++kw) {
      const auto tap = static_cast<float>(row.first_tap + kh * kKernelW + kw);
      best.join(transform.apply(F16::load(x + kh * row.row_pitch + kw * 16)), F16::set1(tap));
    }
  }
  return best;
}

/// Windows [begin, end), all of whose taps along w lie in the input. The third voxel of a window is
/// the first of the next one.
template <int kTapsH, class Element>
void whole_windows(const PlaneMaximaRow& row, const LoadTransform16& transform, int64_t begin,
                   int64_t end) {
  const Element* x = static_cast<const Element*>(row.x) + (begin * kStrideW - row.padding_w) * 16;
  const int64_t pitch = row.row_pitch;
  F16 taps[kTapsH][kKernelW];
  F16 carried[kTapsH];
  for (int kh = 0; kh < kTapsH; ++kh) {
    for (int kw = 0; kw < kKernelW; ++kw) {
      taps[kh][kw] = F16::set1(static_cast<float>(row.first_tap + kh * kKernelW + kw));
    }
    carried[kh] = transform.apply(F16::load(x + kh * pitch));
  }
  for (int64_t ow = begin; ow < end; ++ow, x += kStrideW * 16) {
    Maximum best;
    for (int kh = 0; kh < kTapsH; ++kh) {
      const F16 second = transform.apply(F16::load(x + kh * pitch + 16));
      const F16 third = transform.apply(F16::load(x + kh * pitch + 32));
      Maximum along{carried[kh], taps[kh][0]};
      along.join(second, taps[kh][1]);
      along.join(third, taps[kh][2]);
      carried[kh] = third;
      if (kh == 0) {
        best = along;
      } else {
        best.join(along.value, along.tap);
      }
    }
    best.value.store(row.value + ow * 16);
    best.tap.store(row.tap + ow * 16);
  }
}

template <class Element>
void maxima_of_plane(const PlaneMaximaRow& row) {
  const auto* x = static_cast<const Element*>(row.x);
  const LoadTransform16 transform{F16::load(row.scale), F16::load(row.shift), F16::set1(row.slope)};
  const auto clipped = [&](int64_t begin, int64_t end) {
    for (int64_t ow = begin; ow < end; ++ow) {
      const int64_t first = ow * kStrideW - row.padding_w;
      const Maximum best =
          clipped_window(row, transform, x + first * 16, first < 0 ? -first : 0,
                         first + kKernelW > row.width ? row.width - first : kKernelW);
      best.value.store(row.value + ow * 16);
      best.tap.store(row.tap + ow * 16);
    }
  };
  const int64_t last_first = row.width - kKernelW + row.padding_w;
  int64_t begin = (row.padding_w + kStrideW - 1) / kStrideW;
  int64_t end = last_first < 0 ? 0 : last_first / kStrideW + 1;
  if (end > row.num_outputs) end = row.num_outputs;
  if (begin > end) begin = end;
  clipped(0, begin);
  if (begin < end) {
    switch (row.taps_h) {
      case 1:
        whole_windows<1, Element>(row, transform, begin, end);
        break;
      case 2:
        whole_windows<2, Element>(row, transform, begin, end);
        break;
      default:
        whole_windows<kMaxPlaneTapsH, Element>(row, transform, begin, end);
    }
  }
  clipped(end, row.num_outputs);
}

}  // namespace

void plane_maxima_row(const PlaneMaximaRow& row) {
  row.bfloat16 ? maxima_of_plane<Bfloat16>(row) : maxima_of_plane<float>(row);
}

void join_maxima_row(const JoinedMaximaRow& row) {
  const F16 first = F16::set1(row.first_position);
  const int64_t floats = row.num_outputs * 16;
  for (int64_t i = 0; i < floats; i += 16) {
    const F16 value = F16::load(row.value + i);
    const F16 tap = F16::load(row.tap + i) + first;
    Maximum best{value, tap};
    if (!row.is_first) {
      best = {F16::load(row.best_value + i), F16::load(row.best_tap + i)};
      best.join(value, tap);
    }
    best.value.store(row.best_value + i);
    best.tap.store(row.best_tap + i);
  }
}

namespace {

struct WindowRow {
  const float* grad_y;
  const float* tap;
  int64_t first_position;
};

/// base + what kRows rows of windows give. A window gives to three voxels, of which the next window
/// shares the third.
template <int kRows>
void gather(const MaxPoolBackwardRow& row, const WindowRow* windows, const float* base,
            bool stream) {
  F16 here[kRows][kKernelW];
  for (int r = 0; r < kRows; ++r) {
    for (int kw = 0; kw < kKernelW; ++kw) {
      here[r][kw] = F16::set1(static_cast<float>(windows[r].first_position + kw));
    }
  }
  const auto write = [&](int64_t w, F16 sum) {
    if (base != nullptr) sum = F16::load(base + w * 16) + sum;
    if (stream) {
      sum.stream(row.grad_x + w * 16);
    } else {
      sum.store(row.grad_x + w * 16);
    }
  };
  F16 shared = F16::zero();
  int64_t w = -row.padding_w;  // at most one
  for (int64_t o = 0; o < row.num_windows_w; ++o, w += kStrideW) {
    F16 sums[kKernelW] = {shared, F16::zero(), F16::zero()};
    for (int r = 0; r < kRows; ++r) {
      const F16 tap = F16::load(windows[r].tap + o * 16);
      const F16 grad_y = F16::load(windows[r].grad_y + o * 16);
      for (int kw = 0; kw < kKernelW; ++kw) {
        sums[kw] = add_where(is_equal(tap, here[r][kw]), sums[kw], grad_y);
      }
    }
    if (w >= 0) write(w, sums[0]);
    write(w + 1, sums[1]);
    shared = sums[2];
  }
  for (; w < row.width; ++w, shared = F16::zero()) write(w, shared);
}

void no_windows(const MaxPoolBackwardRow& row) {
  for (int64_t w = 0; w < row.width; ++w) {
    (row.base != nullptr ? F16::load(row.base + w * 16) : F16::zero()).store(row.grad_x + w * 16);
  }
}

}  // namespace

void overlap_backward_row(const MaxPoolBackwardRow& row) {
  constexpr int kMost = 4;
  WindowRow windows[kMost];
  const int64_t num_rows = row.windows_d * row.windows_h;
  const float* base = row.base;
  int64_t done = 0;
  do {
    const int64_t left = num_rows - done;
    const int64_t now = left >= kMost ? kMost : left >= 2 ? 2 : left;
    for (int64_t r = 0; r < now; ++r) {
      const int64_t od = (done + r) / row.windows_h;
      const int64_t oh = (done + r) % row.windows_h;
      windows[r] = {row.grad_y + od * row.grad_plane_pitch + oh * row.grad_row_pitch,
                    row.tap + od * row.tap_plane_pitch + oh * row.tap_row_pitch,
                    row.first_position - od * row.position_step_d - oh * row.position_step_h};
    }
    const bool stream = row.stream && now == num_rows;  // not to be read again
    switch (now) {
      case 0:
        no_windows(row);
        break;
      case 1:
        gather<1>(row, windows, base, stream);
        break;
      case 2:
        gather<2>(row, windows, base, stream);
        break;
      default:
        gather<kMost>(row, windows, base, stream);
    }
    base = row.grad_x;
    done += now;
  } while (done < num_rows);
}

void keep_positive_taps(const float* value, float* tap, int64_t count) {
  const F16 none = F16::set1(kNoTap);
  for (int64_t i = 0; i < count; i += 16) {
    select_greater(F16::load(value + i), F16::zero(), F16::load(tap + i), none).store(tap + i);
  }
}

}  // namespace wholemount::WM_ISA
