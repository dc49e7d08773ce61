#include "wholemount/ops/conv/inner/weight_gradient_run.h"

#include "wholemount/ops/conv/inner/multiply_add.h"

namespace wholemount::WM_ISA {

namespace {

void ask_for_lines(const LineRange& some) {
  for (int64_t i = 0; i < some.lines; ++i) __builtin_prefetch(some.begin + i * 16, 0, 2);
}

/// Few coarse channels: the lines ahead of a run, for each row of each of its `passes`.
DealtLines lines_of_rows(const WeightGradientRun& run, int64_t passes) {
  const int64_t rows = run.rows * passes;
  return {run.ahead, (run.ahead.lines + rows - 1) / rows};
}

/// One register tile: kTaps x kLanes x kBlocks sums of sixteen. `first_tap` .. taps beyond
/// `num_taps` repeat the last one and are not stored.
template <int kTaps, int kLanes, int kBlocks, int kPitch, bool kAsks = false>
void sum_tile(const WeightGradientRun& run, int32_t first_tap, int32_t num_taps, int32_t lane,
              LineRange lines = {}) {
  constexpr int kOffsetUnit = kPitch == 4 ? 4 : 16;
  const float* fine[kTaps];
#pragma GCC unroll 9
  for (int tap = 0; tap < kTaps; ++tap) {
    const int used = tap < num_taps ? tap : num_taps - 1;
    fine[tap] = run.fine + run.tap_offsets[first_tap + used] * kOffsetUnit + lane;
  }
  // Floats from a voxel's question to the next; less than a line asks for one several times.
  const int64_t voxels = run.rows * run.length;
  const int64_t ahead_step = kAsks ? (lines.lines * 16 + voxels - 1) / voxels : 0;
  const float* ahead = lines.begin;
  const float* coarse[kBlocks];
#pragma GCC unroll 2
  for (int block = 0; block < kBlocks; ++block) coarse[block] = run.coarse[block];
  F16 sum[kTaps][kLanes][kBlocks];
#pragma GCC unroll 9
  for (int tap = 0; tap < kTaps; ++tap) {
#pragma GCC unroll 16
    for (int l = 0; l < kLanes; ++l) {
#pragma GCC unroll 2
      for (int block = 0; block < kBlocks; ++block) sum[tap][l][block] = F16::zero();
    }
  }
  for (int64_t row = 0; row < run.rows; ++row) {
    for (int64_t i = 0; i < run.length; ++i) {
      if (kAsks) __builtin_prefetch(ahead + i * ahead_step, 0, 2);
      F16 y[kBlocks];
#pragma GCC unroll 2
      for (int block = 0; block < kBlocks; ++block) y[block] = load_operand(coarse[block] + i * 16);
#pragma GCC unroll 9
      for (int tap = 0; tap < kTaps; ++tap) {
#pragma GCC unroll 16
        for (int l = 0; l < kLanes; ++l) {
          const Broadcast x = broadcast(fine[tap] + i * kPitch + l);
#pragma GCC unroll 2
          for (int block = 0; block < kBlocks; ++block) {
            multiply_add(sum[tap][l][block], y[block], x);
          }
        }
      }
    }
    if constexpr (kPitch != 32) break;
    if (kAsks) ahead += run.length * ahead_step;
#pragma GCC unroll 9
    for (int tap = 0; tap < kTaps; ++tap) fine[tap] += run.fine_row_pitch;
#pragma GCC unroll 2
    for (int block = 0; block < kBlocks; ++block) coarse[block] += run.coarse_row_pitch;
  }
#pragma GCC unroll 9
  for (int tap = 0; tap < kTaps; ++tap) {
    if (tap < num_taps) {
#pragma GCC unroll 16
      for (int l = 0; l < kLanes; ++l) {
#pragma GCC unroll 2
        for (int block = 0; block < kBlocks; ++block) {
          float* out = run.sums[block] + (int64_t{first_tap + tap} * kOffsetUnit + lane + l) * 16;
          (F16::load(out) + sum[tap][l][block]).store(out);
        }
      }
    }
  }
}

template <int kTaps, int kLanes, int kBlocks, int kPitch>
void sum_lanes(const WeightGradientRun& run, int32_t first_tap, int32_t num_taps,
               DealtLines& ahead) {
  for (int32_t lane = 0; lane < run.lanes; lane += kLanes) {
    const LineRange lines = ahead.next();
    if (lines.lines > 0) {
      sum_tile<kTaps, kLanes, kBlocks, kPitch, true>(run, first_tap, num_taps, lane, lines);
    } else {
      sum_tile<kTaps, kLanes, kBlocks, kPitch>(run, first_tap, num_taps, lane);
    }
  }
}

#if defined(__AVX512F__)
/// Three taps at neighbouring voxels, one coarse block: each broadcast of a fine voxel meets three
/// coarse voxels, so that the multiply-adds and not the loads are the limit.
template <int kLanes>
void sum_neighbours(const WeightGradientRun& run, int32_t first_tap, int32_t lane) {
  const float* fine = run.fine + run.tap_offsets[first_tap] * 16 + lane;
  const float* coarse = run.coarse[0];
  F16 sum[3][kLanes];
#pragma GCC unroll 3
  for (int tap = 0; tap < 3; ++tap) {
#pragma GCC unroll 8
    for (int l = 0; l < kLanes; ++l) sum[tap][l] = F16::zero();
  }
  // Fine voxel j belongs to tap t of coarse voxel j - t; those outside the run count as zero.
  static const float kZero[16] = {};
  const auto length = static_cast<uint64_t>(run.length);
  for (uint64_t j = 0; j < length + 2; ++j) {
    const F16 y0 = load_operand(j < length ? coarse : kZero);
    const F16 y1 = load_operand(j - 1 < length ? coarse - 16 : kZero);
    const F16 y2 = load_operand(j - 2 < length ? coarse - 32 : kZero);
#pragma GCC unroll 8
    for (int l = 0; l < kLanes; ++l) {
      const Broadcast x = broadcast_in_order(fine + l);
      multiply_add_in_order(sum[0][l], y0, x);
      multiply_add_in_order(sum[1][l], y1, x);
      multiply_add_in_order(sum[2][l], y2, x);
    }
    coarse += 16;
    fine += 16;
  }
#pragma GCC unroll 3
  for (int tap = 0; tap < 3; ++tap) {
#pragma GCC unroll 8
    for (int l = 0; l < kLanes; ++l) {
      float* out = run.sums[0] + (int64_t{first_tap + tap} * 16 + lane + l) * 16;
      (F16::load(out) + sum[tap][l]).store(out);
    }
  }
}

/// Plain fine tensors whose taps come as rows of kRow neighbours: kRows rows from `first_row` on,
/// of one channel, at once. Fine voxel j belongs to tap t of coarse voxel j - t (zero outside the
/// run), and the last kRow coarse voxels stay in registers: each voxel of either side is loaded
/// once, so that the multiply-adds and not the loads are the limit.
template <int kRows, int kRow>
void sum_plain_rows(const WeightGradientRun& run, int32_t first_row, int32_t first_pass,
                    int32_t passes) {
  // Each pass over the run asks for its share of the next one's lines (twice or more often, by
  // fractions of a line), so that memory works as long as the multiply-adds do.
  const int64_t ahead_step = run.next_coarse == nullptr ? 0 : (16 + passes - 1) / passes;
  for (int32_t lane = 0; lane < run.lanes; ++lane) {
    const float* fine[kRows];
#pragma GCC unroll 9
    for (int row = 0; row < kRows; ++row) {
      fine[row] = run.fine + run.tap_offsets[(first_row + row) * kRow] * 4 + lane;
    }
    F16 sum[kRows][kRow];
#pragma GCC unroll 9
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 5
      for (int tap = 0; tap < kRow; ++tap) sum[row][tap] = F16::zero();
    }
    const float* coarse = run.coarse[0];
    // Without a next run the line at hand is asked for once more, which costs nothing.
    const float* ahead = run.next_coarse == nullptr
                             ? coarse
                             : run.next_coarse + (first_pass + lane) * run.length * ahead_step;
    F16 y[kRow];
#pragma GCC unroll 5
    for (int tap = 0; tap < kRow; ++tap) y[tap] = F16::zero();
    int64_t j = 0;
    for (; j + kRow <= run.length; j += kRow) {
#pragma GCC unroll 5
      for (int step = 0; step < kRow; ++step) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += ahead_step;
        y[step] = load_in_order(coarse + (j + step) * 16);
#pragma GCC unroll 9
        for (int row = 0; row < kRows; ++row) {
          const Broadcast x = broadcast_in_order(fine[row] + step * 4);
#pragma GCC unroll 5
          for (int tap = 0; tap < kRow; ++tap) {
            multiply_add_in_order(sum[row][tap], y[(step - tap + kRow) % kRow], x);
          }
        }
      }
#pragma GCC unroll 9
      for (int row = 0; row < kRows; ++row) {
        fine[row] += kRow * 4;
        // Hidden from the compiler, which else makes an index of it: an address of base and index
        // takes two places in the scheduler.
        asm("" : "+r"(fine[row]));
      }
    }
    for (; j < run.length + kRow - 1; ++j) {
      // The newest coarse voxel comes last, as the loop above has left them.
#pragma GCC unroll 5
      for (int tap = 0; tap + 1 < kRow; ++tap) y[tap] = y[tap + 1];
      y[kRow - 1] = j < run.length ? load_operand(coarse + j * 16) : F16::zero();
#pragma GCC unroll 9
      for (int row = 0; row < kRows; ++row) {
        const Broadcast x = broadcast_in_order(fine[row]);
#pragma GCC unroll 5
        for (int tap = 0; tap < kRow; ++tap) {
          multiply_add_in_order(sum[row][tap], y[kRow - 1 - tap], x);
        }
        fine[row] += 4;
      }
    }
#pragma GCC unroll 9
    for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 5
      for (int tap = 0; tap < kRow; ++tap) {
        float* out = run.sums[0] + (((first_row + row) * kRow + tap) * 4 + lane) * 16;
        (F16::load(out) + sum[row][tap]).store(out);
      }
    }
  }
}

/// Whether the taps are `rows` rows of `count` neighbours.
bool are_rows(const WeightGradientRun& run, int32_t rows, int32_t count) {
  if (run.num_taps != rows * count) return false;
  for (int32_t tap = 0; tap < run.num_taps; ++tap) {
    if (run.tap_offsets[tap] != run.tap_offsets[tap / count * count] + tap % count) return false;
  }
  return true;
}

bool neighbours(const WeightGradientRun& run, int32_t tap) {
  return run.tap_offsets[tap + 1] == run.tap_offsets[tap] + 1 &&
         run.tap_offsets[tap + 2] == run.tap_offsets[tap] + 2;
}
#endif

/// Blocked fine tensors: three taps at a time, the rest singly or in a pair.
template <int kLanes3, int kLanes2, int kLanes1, int kBlocks, int kPitch>
void sum_blocked(const WeightGradientRun& run) {
  const auto lane_tiles = [&](int32_t lanes) { return (run.lanes + lanes - 1) / lanes; };
  const int32_t rest = run.num_taps % 3;
  const int64_t tiles = run.num_taps / 3 * lane_tiles(kLanes3) + (rest == 2   ? lane_tiles(kLanes2)
                                                                  : rest == 1 ? lane_tiles(kLanes1)
                                                                              : 0);
  DealtLines ahead{run.ahead, (run.ahead.lines + tiles - 1) / tiles};
  int32_t tap = 0;
  for (; tap + 3 <= run.num_taps; tap += 3) {
#if defined(__AVX512F__)
    if constexpr (kBlocks == 1 && kPitch == 16) {
      if (neighbours(run, tap)) {
        for (int32_t lane = 0; lane < run.lanes; lane += 8) sum_neighbours<8>(run, tap, lane);
        continue;
      }
    }
#endif
    sum_lanes<3, kLanes3, kBlocks, kPitch>(run, tap, 3, ahead);
  }
  if (rest == 2) sum_lanes<2, kLanes2, kBlocks, kPitch>(run, tap, 2, ahead);
  if (rest == 1) sum_lanes<1, kLanes1, kBlocks, kPitch>(run, tap, 1, ahead);
}

/// Plain fine tensors (1 to 4 channels): kTaps at a time.
template <int kTaps, int kLanes>
void sum_plain(const WeightGradientRun& run) {
  DealtLines none{};
  for (int32_t tap = 0; tap < run.num_taps; tap += kTaps) {
    const int32_t left = run.num_taps - tap;
    sum_lanes<kTaps, kLanes, 1, 4>(run, tap, left < kTaps ? left : kTaps, none);
  }
}

/// Blocked fine tensors against 1 to 4 coarse channels: a vector holds the fine channels.
template <int kTaps, int kChannels>
void sum_few_coarse(const WeightGradientRun& run) {
  DealtLines ahead = lines_of_rows(run, (run.num_taps + kTaps - 1) / kTaps);
  for (int32_t first_tap = 0; first_tap < run.num_taps; first_tap += kTaps) {
    const int32_t num_taps = run.num_taps - first_tap;
    const float* fine[kTaps];
#pragma GCC unroll 9
    for (int tap = 0; tap < kTaps; ++tap) {
      fine[tap] =
          run.fine + run.tap_offsets[first_tap + (tap < num_taps ? tap : num_taps - 1)] * 16;
    }
    const float* coarse = run.coarse[0];
    F16 sum[kTaps][kChannels];
#pragma GCC unroll 9
    for (int tap = 0; tap < kTaps; ++tap) {
#pragma GCC unroll 4
      for (int c = 0; c < kChannels; ++c) sum[tap][c] = F16::zero();
    }
    for (int64_t row = 0; row < run.rows; ++row) {
      ask_for_lines(ahead.next());
      for (int64_t i = 0; i < run.length; ++i) {
        if constexpr (kTaps == 1) {
          const F16 x = F16::load(fine[0] + i * 16);
#pragma GCC unroll 4
          for (int c = 0; c < kChannels; ++c) {
            multiply_add(sum[0][c], x, broadcast(coarse + i * 4 + c));
          }
        } else {
          Broadcast y[kChannels];
#pragma GCC unroll 4
          for (int c = 0; c < kChannels; ++c) y[c] = broadcast(coarse + i * 4 + c);
#pragma GCC unroll 9
          for (int tap = 0; tap < kTaps; ++tap) {
            const F16 x = F16::load(fine[tap] + i * 16);
#pragma GCC unroll 4
            for (int c = 0; c < kChannels; ++c) multiply_add(sum[tap][c], x, y[c]);
          }
        }
      }
      coarse += run.coarse_row_pitch;
#pragma GCC unroll 9
      for (int tap = 0; tap < kTaps; ++tap) fine[tap] += run.fine_row_pitch;
    }
#pragma GCC unroll 9
    for (int tap = 0; tap < kTaps; ++tap) {
#pragma GCC unroll 4
      for (int c = 0; c < kChannels; ++c) {
        if (tap < num_taps) {
          float* out = run.sums[0] + ((first_tap + tap) * kChannels + c) * 16;
          (F16::load(out) + sum[tap][c]).store(out);
        }
      }
    }
  }
}

}  // namespace

void add_weight_gradient_run(const WeightGradientRun& run) {
  if (run.few_coarse > 0 && run.pitch == 16) {
#if defined(__AVX512F__)
    switch (run.few_coarse) {
      case 1:
        return sum_few_coarse<9, 1>(run);
      case 2:
        return sum_few_coarse<9, 2>(run);
      case 3:
        return sum_few_coarse<6, 3>(run);
      default:
        return sum_few_coarse<5, 4>(run);
    }
#elif defined(__AVX2__)
    switch (run.few_coarse) {
      case 1:
        return sum_few_coarse<5, 1>(run);
      case 2:
        return sum_few_coarse<3, 2>(run);
      case 3:
        return sum_few_coarse<1, 3>(run);
      default:
        return sum_few_coarse<1, 4>(run);
    }
#else
    switch (run.few_coarse) {
      case 1:
        return sum_few_coarse<1, 1>(run);
      case 2:
        return sum_few_coarse<1, 2>(run);
      case 3:
        return sum_few_coarse<1, 3>(run);
      default:
        return sum_few_coarse<1, 4>(run);
    }
#endif
  }
  if (run.pitch == 4 && run.num_coarse == 2) {
    for (int block = 0; block < 2; ++block) {
      WeightGradientRun single = run;
      single.num_coarse = 1;
      single.coarse[0] = run.coarse[block];
      single.sums[0] = run.sums[block];
      add_weight_gradient_run(single);
    }
    return;
  }
#if defined(__AVX512F__)
  if (run.pitch == 4) {
    if (are_rows(run, 9, 3)) {
      // All 27 sums at once leave too few registers.
      sum_plain_rows<5, 3>(run, 0, 0, 2 * run.lanes);
      sum_plain_rows<4, 3>(run, 5, run.lanes, 2 * run.lanes);
    } else if (are_rows(run, 5, 5)) {
      sum_plain_rows<5, 5>(run, 0, 0, run.lanes);
    } else if (run.lanes == 1) {
      sum_plain<9, 1>(run);
    } else if (run.lanes == 2) {
      sum_plain<9, 2>(run);
    } else {
      sum_plain<3, 4>(run);
    }
  } else if (run.num_coarse == 2) {
    run.pitch == 32 ? sum_blocked<4, 4, 8, 2, 32>(run) : sum_blocked<4, 4, 8, 2, 16>(run);
  } else {
    run.pitch == 32 ? sum_blocked<8, 8, 16, 1, 32>(run) : sum_blocked<8, 8, 16, 1, 16>(run);
  }
#elif defined(__AVX2__)
  if (run.pitch == 4) {
    if (run.lanes == 1) {
      sum_plain<3, 1>(run);
    } else {
      sum_plain<3, 2>(run);
    }
  } else {
    run.pitch == 32 ? sum_blocked<2, 2, 4, 1, 32>(run) : sum_blocked<2, 2, 4, 1, 16>(run);
  }
#else
  if (run.pitch == 4) {
    sum_plain<1, 1>(run);
  } else {
    run.pitch == 32 ? sum_blocked<1, 1, 1, 1, 32>(run) : sum_blocked<1, 1, 1, 1, 16>(run);
  }
#endif
}

int32_t weight_gradient_max_coarse() {
#if defined(__AVX512F__)
  return 2;
#else
  return 1;
#endif
}

}  // namespace wholemount::WM_ISA
