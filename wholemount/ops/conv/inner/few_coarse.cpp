#include "wholemount/ops/conv/inner/few_coarse.h"

#include "wholemount/ops/conv/inner/multiply_add.h"

namespace wholemount::WM_ISA {

#if defined(__AVX512F__)

namespace {

void ask_for_lines(const LineRange& some) {
  for (int64_t i = 0; i < some.lines; ++i) __builtin_prefetch(some.begin + i * 16, 0, 2);
}

/// kRuns runs of three taps, kChannels channels: each fine voxel is loaded once for three taps and
/// meets the three coarse voxels it belongs to, which stay in registers; those outside the row
/// count as zero.
template <int kRuns, int kChannels>
__attribute__((noinline)) void sum_runs(const FewCoarseLines& run, int32_t first_run,
                                        int32_t first_channel, DealtLines& ahead) {
  F16 sum[3 * kRuns][kChannels];
#pragma GCC unroll 27
  for (int tap = 0; tap < 3 * kRuns; ++tap) {
#pragma GCC unroll 2
    for (int c = 0; c < kChannels; ++c) sum[tap][c] = F16::zero();
  }
  const int64_t pitch = kChannels > 1 ? run.coarse_channel_pitch : 0;
  const int64_t step = run.coarse_step;
  for (int64_t row = 0; row < run.rows; ++row) {
    const float* fine[kRuns];
#pragma GCC unroll 9
    for (int r = 0; r < kRuns; ++r) {
      fine[r] = run.lines[run.run_lines[first_run + r] + row * run.line_step] + run.first * 16;
    }
    const float* coarse =
        run.coarse + row * run.coarse_row_pitch + first_channel * run.coarse_channel_pitch;
    // Coarse voxels j, j - 1 and j - 2 are y[j % 3], y[(j + 2) % 3] and y[(j + 1) % 3], fine voxel
    // j being the one that the first tap meets for coarse voxel j.
    Broadcast y[3][kChannels];
#pragma GCC unroll 2
    for (int c = 0; c < kChannels; ++c) {
      y[1][c] = _mm512_setzero_ps();
      y[2][c] = run.first_outside ? broadcast(coarse + c * pitch) : _mm512_setzero_ps();
    }
    int64_t at = run.first_outside ? 16 : 0;  // of fine voxel j, in floats
    coarse += run.first_outside ? step : 0;
    int64_t left = run.length - at / 16;
    const auto add_voxel = [&](int newest) __attribute__((always_inline)) {
#pragma GCC unroll 9
      for (int r = 0; r < kRuns; ++r) {
        const F16 x = load_in_order(fine[r] + at);
#pragma GCC unroll 3
        for (int tap = 0; tap < 3; ++tap) {
#pragma GCC unroll 2
          for (int c = 0; c < kChannels; ++c) {
            multiply_add_in_order(sum[3 * r + tap][c], x, y[(newest + 3 - tap) % 3][c]);
          }
        }
      }
      at += 16;
    };
    for (; left >= 3; left -= 3) {
      ask_for_lines(ahead.next());
#pragma GCC unroll 3
      for (int newest = 0; newest < 3; ++newest) {
#pragma GCC unroll 2
        for (int c = 0; c < kChannels; ++c) y[newest][c] = broadcast_in_order(coarse + c * pitch);
        coarse += step;
        add_voxel(newest);
      }
    }
    const int64_t end = run.last_outside ? -1 : -2;
    for (; left > end; --left) {
#pragma GCC unroll 2
      for (int c = 0; c < kChannels; ++c) {
        y[0][c] = left > 0 ? broadcast(coarse + c * pitch) : _mm512_setzero_ps();
      }
      coarse += step;
      add_voxel(0);
#pragma GCC unroll 2
      for (int c = 0; c < kChannels; ++c) {
        y[1][c] = y[2][c];
        y[2][c] = y[0][c];
      }
    }
  }
#pragma GCC unroll 27
  for (int tap = 0; tap < 3 * kRuns; ++tap) {
#pragma GCC unroll 2
    for (int c = 0; c < kChannels; ++c) {
      float* out =
          run.sums + ((3 * first_run + tap) * int64_t{run.channels} + first_channel + c) * 16;
      (F16::load(out) + sum[tap][c]).store(out);
    }
  }
}

}  // namespace

void add_few_coarse_lines(const FewCoarseLines& run) {
  const int32_t runs = run.num_taps / 3;
  const int64_t passes = runs / 9 * run.channels + runs % 9 / 3 * ((run.channels + 1) / 2);
  const int64_t asks = passes * run.rows * (run.length / 3) + 1;
  DealtLines ahead{run.ahead, (run.ahead.lines + asks - 1) / asks};
  // 27 sums and what they are made from fill the registers.
  int32_t first = 0;
  for (; first + 9 <= runs; first += 9) {
    for (int32_t c = 0; c < run.channels; ++c) sum_runs<9, 1>(run, first, c, ahead);
  }
  for (; first < runs; first += 3) {
    int32_t c = 0;
    for (; c + 2 <= run.channels; c += 2) sum_runs<3, 2>(run, first, c, ahead);
    if (c < run.channels) sum_runs<3, 1>(run, first, c, ahead);
  }
}

bool few_coarse_takes_lines() { return true; }

#else

void add_few_coarse_lines(const FewCoarseLines& /*run*/) {}

bool few_coarse_takes_lines() { return false; }

#endif

}  // namespace wholemount::WM_ISA
