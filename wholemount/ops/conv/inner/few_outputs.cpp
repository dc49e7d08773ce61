#include "wholemount/ops/conv/inner/few_outputs.h"

#include "wholemount/base/simd/f16_shuffle.h"
#if !defined(__AVX512F__)
#include "wholemount/base/simd/transpose16.h"
#endif
#include "wholemount/ops/conv/inner/multiply_add.h"

namespace wholemount::WM_ISA {

namespace {

// Voxels of the register tile, a divisor of sixteen.
#if defined(__AVX512F__)
constexpr int kTile = 16;
#elif defined(__AVX2__)
constexpr int kTile = 4;
#else
constexpr int kTile = 2;
#endif

void ask_for_lines(const LineRange& some) {
  for (int64_t i = 0; i < some.lines; ++i) __builtin_prefetch(some.begin + i * 16, 0, 2);
}

/// The sums of kTile voxels from `first` on, lanes not yet added up.
void sum_tile(const FewOutputsPlane& plane, int32_t channel, int64_t first, F16 (&sum)[kTile]) {
#pragma GCC unroll 16
  for (int v = 0; v < kTile; ++v) sum[v] = F16::zero();
  const float* weights = plane.weights + channel * 16;
  for (int32_t block = 0; block < plane.num_blocks; ++block) {
    const float* source = plane.sources[block] + first * 16;
    for (int32_t tap = 0; tap < plane.num_taps; ++tap) {
      const F16 w = F16::load(weights);
      const float* x = source + plane.tap_offsets[tap] * 16;
#pragma GCC unroll 16
      for (int v = 0; v < kTile; ++v) multiply_add_vector(sum[v], w, x + v * 16);
      weights += plane.channels * 16;
    }
  }
}

#if defined(__AVX512F__)
/// The sum over the lanes of each of sixteen vectors, without leaving the registers: two vectors
/// are folded into one until one is left.
inline __attribute__((always_inline)) F16 sums_of_lanes(F16 (&v)[16]) {
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    const __m512 a = v[2 * i].v;
    const __m512 b = v[2 * i + 1].v;
    v[i].v = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512d a = _mm512_castps_pd(v[2 * i].v);
    const __m512d b = _mm512_castps_pd(v[2 * i + 1].v);
    v[i].v = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                           _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  const auto fold_quarters = [](F16 a, F16 b) {
    return F16{
        _mm512_add_ps(_mm512_shuffle_f32x4(a.v, b.v, 0x88), _mm512_shuffle_f32x4(a.v, b.v, 0xDD))};
  };
  return fold_quarters(fold_quarters(v[0], v[1]), fold_quarters(v[2], v[3]));
}

/// What a block adds to sixteen outputs of a channel, for FewOutputsPlane::lines: each voxel is
/// loaded once for three taps. A function of its own, for the loops around it would take the
/// pointers' registers.
__attribute__((noinline)) F16 correlate_lines(const FewOutputsPlane& plane, int32_t block,
                                              int32_t channel, int64_t row, int64_t column,
                                              DealtLines& ahead) {
  F16 sum[kTile];
#pragma GCC unroll 16
  for (int v = 0; v < kTile; ++v) sum[v] = F16::zero();
  const int64_t step = plane.channels * 16;
  const float* weights =
      plane.weights + (block * plane.num_taps * int64_t{plane.channels} + channel) * 16;
  const __mmask16 first = plane.first_outside && column == 0 ? 0 : 0xFFFF;
  const __mmask16 last = plane.last_outside && column + kTile == plane.columns ? 0 : 0xFFFF;
  const int64_t voxel = (plane.line_voxel + column) * 16;
  const float* const* lines = plane.lines + block * plane.block_lines + row * plane.line_step;
  const int32_t* line = plane.run_lines;
  const int32_t* const end = line + plane.num_taps / 3;
  for (; line != end; ++line) {
    ask_for_lines(ahead.next());
    const F16 w0 = load_in_order(weights);
    const F16 w1 = load_in_order(weights + step);
    const F16 w2 = load_in_order(weights + 2 * step);
    const float* voxels = lines[*line] + voxel;
#pragma GCC unroll 18
    for (int v = 0; v < kTile + 2; ++v) {
      const Broadcast x = v == 0           ? _mm512_maskz_loadu_ps(first, voxels)
                          : v == kTile + 1 ? _mm512_maskz_loadu_ps(last, voxels + v * 16)
                                           : load_in_order(voxels + v * 16).v;
      if (v < kTile) multiply_add_in_order(sum[v < kTile ? v : 0], w0, x);
      if (v >= 1 && v <= kTile) {
        multiply_add_in_order(sum[v >= 1 && v <= kTile ? v - 1 : 0], w1, x);
      }
      if (v >= 2) multiply_add_in_order(sum[v >= 2 ? v - 2 : 0], w2, x);
    }
    weights += 3 * step;
  }
  return sums_of_lanes(sum);
}

/// Sixteen outputs of a channel; beyond the plane's columns any value.
F16 correlate_voxels(const FewOutputsPlane& plane, int32_t channel, int64_t first,
                     int64_t /*count*/) {
  F16 sum[kTile];
  sum_tile(plane, channel, first, sum);
  return sums_of_lanes(sum);
}
#else
/// The `count` <= 16 outputs of a channel from voxel `first` on; beyond them any value.
F16 correlate_voxels(const FewOutputsPlane& plane, int32_t channel, int64_t first, int64_t count) {
  alignas(64) float sums[256];
  alignas(64) float lanes[256];
  for (int64_t tile = 0; tile < count; tile += kTile) {
    F16 sum[kTile];
    sum_tile(plane, channel, first + tile, sum);
#pragma GCC unroll 4
    for (int v = 0; v < kTile; ++v) sum[v].store(sums + (tile + v) * 16);
  }
  transpose16(sums, 16, lanes, 16);
  F16 total[4];
  for (int k = 0; k < 4; ++k) total[k] = F16::load(lanes + k * 16);
  for (int k = 4; k < 16; ++k) total[k % 4] = total[k % 4] + F16::load(lanes + k * 16);
  return (total[0] + total[1]) + (total[2] + total[3]);
}
#endif

void store_voxels(const FewOutputsPlane& plane, int32_t channel, int64_t row, int64_t column,
                  int64_t count, F16 sums) {
  const F16 result = sums + F16::set1(plane.bias[channel]);
  float* out = plane.out + row * plane.out_row_pitch + column * plane.out_voxel_step +
               channel * plane.out_channel_pitch;
  if (plane.out_voxel_step == 1) {
    store_some(result, out, count);
    return;
  }
  alignas(64) float buffer[16];
  result.store(buffer);
  for (int64_t v = 0; v < count; ++v) out[v * plane.out_voxel_step] = buffer[v];
}

LineRange lines_of_step(const FewOutputsPlane& plane) {
  return plane.ahead != nullptr ? plane.ahead->next() : LineRange{};
}

#if defined(__AVX512F__)
/// Block by block, down the rows of sixteen columns: of the source rows behind an output all but
/// the newest are still in the first-level cache, which the rows of two blocks would not share
/// well.
void correlate_by_lines(const FewOutputsPlane& plane) {
  constexpr int64_t kRows = 32;
  alignas(64) float totals[kRows * 4 * 16];
  const int64_t asks = int64_t{plane.channels} * plane.num_taps / 3;
  for (int64_t next = 0; next < plane.columns; next += 16) {
    // The last tile reaches back rather than beyond the end.
    const bool reaches_back = next + 16 > plane.columns && plane.columns >= 16;
    const int64_t column = reaches_back ? plane.columns - 16 : next;
    const int64_t left = plane.columns - column;
    const int64_t count = left < 16 ? left : 16;
    for (int64_t first = 0; first < plane.rows; first += kRows) {
      const int64_t end = first + kRows < plane.rows ? first + kRows : plane.rows;
      for (int32_t block = 0; block < plane.num_blocks; ++block) {
        for (int64_t row = first; row < end; ++row) {
          const LineRange some = lines_of_step(plane);
          DealtLines ahead{some, (some.lines + asks - 1) / asks};
          for (int32_t c = 0; c < plane.channels; ++c) {
            float* total = totals + ((row - first) * 4 + c) * 16;
            F16 sums = correlate_lines(plane, block, c, row, column, ahead);
            if (block > 0) sums = F16::load(total) + sums;
            if (block + 1 < plane.num_blocks) {
              sums.store(total);
            } else {
              store_voxels(plane, c, row, column, count, sums);
            }
          }
        }
      }
    }
  }
}
#endif

}  // namespace

void correlate_few_outputs(const FewOutputsPlane& plane) {
#if defined(__AVX512F__)
  if (plane.lines != nullptr) {
    correlate_by_lines(plane);
    return;
  }
#endif
  // Down the rows: of the source rows behind an output all but the newest are still near.
  for (int64_t column = 0; column < plane.columns; column += 16) {
    for (int64_t row = 0; row < plane.rows; ++row) {
      const int64_t left = plane.columns - column;
      const int64_t count = left < 16 ? left : 16;
      ask_for_lines(lines_of_step(plane));
      for (int32_t c = 0; c < plane.channels; ++c) {
        store_voxels(plane, c, row, column, count,
                     correlate_voxels(plane, c, row * plane.row_pitch + column, count));
      }
    }
  }
}

bool few_outputs_takes_lines() {
#if defined(__AVX512F__)
  return true;
#else
  return false;
#endif
}

}  // namespace wholemount::WM_ISA
