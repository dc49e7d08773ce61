#include "wholemount/ops/conv/inner/weight_gradient_halves.h"

#include "wholemount/ops/conv/inner/multiply_add.h"

namespace wholemount::WM_ISA {

#if defined(__AVX512F__)

namespace {

/// One register tile: kTaps x kPairs pairs of fine lanes x kHalves sums.
template <int kTaps, int kPairs, int kHalves>
void sum_tile(const WeightGradientHalvesRun& run, int32_t first_tap, int32_t lane,
              LineRange lines) {
  const float* fine[kTaps];
#pragma GCC unroll 3
  for (int tap = 0; tap < kTaps; ++tap) {
    fine[tap] = run.fine + run.tap_offsets[first_tap + tap] * 16 + lane;
  }
  const float* coarse[kHalves];
#pragma GCC unroll 3
  for (int half = 0; half < kHalves; ++half) coarse[half] = run.coarse[half];
  // Floats from a voxel's question to the next; less than a line asks for one several times, and
  // without lines the voxels at hand are asked for, which costs nothing.
  const float* ahead = lines.lines > 0 ? lines.begin : coarse[0];
  const int64_t ahead_step = (lines.lines * 16 + run.length - 1) / run.length;
  F16 sum[kTaps][kPairs][kHalves];
#pragma GCC unroll 3
  for (int tap = 0; tap < kTaps; ++tap) {
#pragma GCC unroll 8
    for (int pair = 0; pair < kPairs; ++pair) {
#pragma GCC unroll 3
      for (int half = 0; half < kHalves; ++half) sum[tap][pair][half] = F16::zero();
    }
  }
  for (int64_t i = 0; i < run.length; ++i) {
    __builtin_prefetch(ahead, 0, 2);
    ahead += ahead_step;
    F16 y[kHalves];
#pragma GCC unroll 3
    for (int half = 0; half < kHalves; ++half) y[half] = load_in_order(coarse[half] + i * 16);
#pragma GCC unroll 3
    for (int tap = 0; tap < kTaps; ++tap) {
#pragma GCC unroll 8
      for (int pair = 0; pair < kPairs; ++pair) {
        const Broadcast x = broadcast_pair_in_order(fine[tap] + i * 16 + pair * 2);
#pragma GCC unroll 3
        for (int half = 0; half < kHalves; ++half) {
          multiply_add_in_order(sum[tap][pair][half], y[half], x);
        }
      }
    }
  }
#pragma GCC unroll 3
  for (int tap = 0; tap < kTaps; ++tap) {
#pragma GCC unroll 8
    for (int pair = 0; pair < kPairs; ++pair) {
#pragma GCC unroll 3
      for (int half = 0; half < kHalves; ++half) {
        const __m512 parts = even_then_odd(sum[tap][pair][half]).v;
        float* out = run.sums[half] + (int64_t{first_tap + tap} * 16 + lane + 2 * pair) * 16;
        _mm256_storeu_ps(out, _mm256_add_ps(_mm256_loadu_ps(out), _mm512_castps512_ps256(parts)));
        out += 16;
        _mm256_storeu_ps(out,
                         _mm256_add_ps(_mm256_loadu_ps(out), _mm512_extractf32x8_ps(parts, 1)));
      }
    }
  }
}

template <int kTaps, int kPairs, int kHalves>
void sum_all(const WeightGradientHalvesRun& run) {
  constexpr int kLanes = 2 * kPairs;
  const int64_t tiles =
      int64_t{(run.num_taps + kTaps - 1) / kTaps} * ((run.lanes + kLanes - 1) / kLanes);
  DealtLines ahead{run.ahead, (run.ahead.lines + tiles - 1) / tiles};
  int32_t tap = 0;
  for (; tap + kTaps <= run.num_taps; tap += kTaps) {
    for (int32_t lane = 0; lane < run.lanes; lane += kLanes) {
      sum_tile<kTaps, kPairs, kHalves>(run, tap, lane, ahead.next());
    }
  }
  for (; tap < run.num_taps; ++tap) {
    for (int32_t lane = 0; lane < run.lanes; lane += kLanes) {
      sum_tile<1, kPairs, kHalves>(run, tap, lane, ahead.next());
    }
  }
}

}  // namespace

void add_weight_gradient_halves(const WeightGradientHalvesRun& run) {
  if (run.halves == 3) {
    sum_all<2, 4, 3>(run);
  } else if (run.lanes > 8) {
    sum_all<3, 8, 1>(run);
  } else {
    sum_all<3, 4, 1>(run);
  }
}

bool weight_gradient_takes_halves() { return true; }

void twice_each_row(const TwiceEachRow& row) {
  for (int64_t i = 0; i < row.voxels; ++i) {
    const F16 voxel = F16::load(row.in + i * 16);
    twice_each_low(voxel).store(row.low + i * 16);
    if (row.high != nullptr) twice_each_high(voxel).store(row.high + i * 16);
  }
}

#else

void add_weight_gradient_halves(const WeightGradientHalvesRun& /*run*/) {}
bool weight_gradient_takes_halves() { return false; }
void twice_each_row(const TwiceEachRow& /*row*/) {}

#endif

}  // namespace wholemount::WM_ISA
