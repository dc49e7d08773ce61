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
void ask_for_lines(const LineRange& some) {
  for (int64_t i = 0; i < some.lines; ++i) __builtin_prefetch(some.begin + i * 16, 0, 2);
}

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

/// Sixteen outputs of a channel for FewOutputsPlane::lines: each voxel is loaded once for three
/// taps. A function of its own, for the loops around it would take the pointers' registers.
__attribute__((noinline)) F16 correlate_lines(const FewOutputsPlane& plane, int32_t channel,
                                              int64_t row, int64_t column, DealtLines& ahead) {
  F16 sum[kTile];
#pragma GCC unroll 16
  for (int v = 0; v < kTile; ++v) sum[v] = F16::zero();
  const int64_t step = plane.channels * 16;
  const float* weights = plane.weights + channel * 16;
  const __mmask16 first = plane.first_outside && column == 0 ? 0 : 0xFFFF;
  const __mmask16 last = plane.last_outside && column + kTile == plane.columns ? 0 : 0xFFFF;
  const int64_t voxel = (plane.line_voxel + column) * 16;
  const float* const* lines = plane.lines + row * plane.line_step;
  for (int32_t block = 0; block < plane.num_blocks; ++block) {
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
    lines += plane.block_lines;
  }
  return sums_of_lanes(sum);
}

/// Sixteen outputs of a channel; beyond the plane's columns any value.
F16 correlate_voxels(const FewOutputsPlane& plane, int32_t channel, int64_t row, int64_t column,
                     DealtLines& ahead) {
  if (plane.lines != nullptr) return correlate_lines(plane, channel, row, column, ahead);
  ask_for_lines(ahead.next());
  F16 sum[kTile];
  sum_tile(plane, channel, row * plane.row_pitch + column, sum);
  return sums_of_lanes(sum);
}
#else
/// Sixteen outputs of a channel; beyond the plane's columns any value.
F16 correlate_voxels(const FewOutputsPlane& plane, int32_t channel, int64_t row, int64_t column,
                     DealtLines& ahead) {
  const LineRange some = ahead.next();
  for (int64_t i = 0; i < some.lines; ++i) __builtin_prefetch(some.begin + i * 16, 0, 2);
  alignas(64) float sums[256];
  alignas(64) float lanes[256];
  for (int64_t tile = 0; tile < 16 && column + tile < plane.columns; tile += kTile) {
    F16 sum[kTile];
    sum_tile(plane, channel, row * plane.row_pitch + column + tile, sum);
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

}  // namespace

void correlate_few_outputs(const FewOutputsPlane& plane) {
  // The lines ahead, dealt to what is multiplied between one question and the next.
  const bool by_lines = plane.lines != nullptr;
  const int64_t asks = plane.channels * (by_lines ? plane.num_blocks * plane.num_taps / 3 : 1);
  // Down the rows: of the source rows behind an output all but the newest are still near.
  for (int64_t next = 0; next < plane.columns; next += 16) {
    // The last tile reaches back rather than beyond the end.
    const bool reaches_back = by_lines && next + 16 > plane.columns && plane.columns >= 16;
    const int64_t column = reaches_back ? plane.columns - 16 : next;
    const int64_t left = plane.columns - column;
    const int64_t count = left < 16 ? left : 16;
    for (int64_t row = 0; row < plane.rows; ++row) {
      const LineRange some = plane.ahead != nullptr ? plane.ahead->next() : LineRange{};
      DealtLines ahead{some, (some.lines + asks - 1) / asks};
      for (int32_t c = 0; c < plane.channels; ++c) {
        const F16 result =
            correlate_voxels(plane, c, row, column, ahead) + F16::set1(plane.bias[c]);
        float* out = plane.out + row * plane.out_row_pitch + column * plane.out_voxel_step +
                     c * plane.out_channel_pitch;
        if (plane.out_voxel_step == 1) {
          store_some(result, out, count);
          continue;
        }
        alignas(64) float buffer[16];
        result.store(buffer);
        for (int64_t v = 0; v < count; ++v) out[v * plane.out_voxel_step] = buffer[v];
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
