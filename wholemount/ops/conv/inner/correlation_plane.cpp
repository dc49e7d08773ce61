#include "wholemount/ops/conv/inner/correlation_plane.h"

#include "wholemount/ops/conv/inner/multiply_add.h"
#include "wholemount/ops/conv/inner/row_moments.h"

namespace wholemount::WM_ISA {

namespace {

// Register tiles: voxels for one and for two destination blocks.
#if defined(__AVX512F__)
constexpr int kTileVoxels1 = 27;  // with three weights and a broadcast voxel: all but one register
constexpr int kTileVoxels1Run5 = 25;  // the same with five weights
constexpr int kTileVoxels2 = 14;
constexpr int kTileVoxels3Halves = 9;
constexpr int32_t kMaxDestinations = 2;
#elif defined(__AVX2__)
constexpr int kTileVoxels1 = 6;
constexpr int kTileVoxels2 = 6;
constexpr int32_t kMaxDestinations = 1;
#else
constexpr int kTileVoxels1 = 2;
constexpr int kTileVoxels2 = 2;
constexpr int32_t kMaxDestinations = 1;
#endif

void ask_for_lines(LinesAhead& ahead) {
  const LineRange some = ahead.next();
  for (int64_t i = 0; i < some.lines; ++i) __builtin_prefetch(some.begin + i * 16, 0, 2);
}

template <int kVoxels, int kBlocks, int kPitch, bool kAsks>
void correlate_tile(const CorrelationPlane& plane, const CorrelationChunk& chunk, int64_t first,
                    bool starts, float* sums) {
  F16 accumulator[kBlocks][kVoxels];
#pragma GCC unroll 2
  for (int block = 0; block < kBlocks; ++block) {
#pragma GCC unroll 28
    for (int voxel = 0; voxel < kVoxels; ++voxel) {
      accumulator[block][voxel] =
          F16::load(starts ? plane.bias + block * 16 : sums + (block * kVoxels + voxel) * 16);
    }
  }
  const float* weights = chunk.weights;
  for (int32_t b = 0; b < chunk.num_blocks; ++b) {
    const float* source = chunk.source + b * chunk.block_pitch + first * kPitch;
    const int32_t lanes = chunk.lanes[b];
    for (int32_t tap = 0; tap < plane.num_taps; ++tap) {
      if constexpr (kAsks) ask_for_lines(*plane.ahead);
      const float* x = source + plane.tap_offsets[tap] * kPitch;
      for (int32_t lane = 0; lane < lanes; ++lane) {
        F16 w[kBlocks];
#pragma GCC unroll 2
        for (int block = 0; block < kBlocks; ++block) w[block] = load_operand(weights + block * 16);
#pragma GCC unroll 28
        for (int voxel = 0; voxel < kVoxels; ++voxel) {
          const Broadcast value = broadcast(x + voxel * kPitch);
#pragma GCC unroll 2
          for (int block = 0; block < kBlocks; ++block) {
            multiply_add(accumulator[block][voxel], w[block], value);
          }
        }
        weights += kBlocks * 16;
        ++x;
      }
    }
  }
#pragma GCC unroll 2
  for (int block = 0; block < kBlocks; ++block) {
#pragma GCC unroll 28
    for (int voxel = 0; voxel < kVoxels; ++voxel) {
      accumulator[block][voxel].store(sums + (block * kVoxels + voxel) * 16);
    }
  }
}

#if defined(__AVX512F__)
/// Where a tile of voxels that lie side by side, in one row, goes from registers.
struct InPlace {
  float* out = nullptr;
  bool stream = false;
};

/// The place of the tile at `first`, if it lies within a row of a blocked destination.
template <int kVoxels>
InPlace in_place(const CorrelationPlane& plane, int64_t first) {
  const CorrelationDestination& destination = plane.destinations[0];
  const int64_t row = first / plane.row_pitch;
  const int64_t column = first - row * plane.row_pitch;
  // Moments are summed by store_voxels().
  if (destination.origin == nullptr || destination.plain || destination.moments != nullptr ||
      destination.voxel_step != 16 || column + kVoxels > plane.columns) {
    return {};
  }
  return {destination.origin + row * destination.row_pitch + column * 16, destination.stream};
}

/// One destination block, taps in runs of neighbours: each broadcast voxel serves kRun outputs, so
/// that the multiply-adds and not the loads are the limit. The sums go to `sums`, or where they
/// belong.
template <int kRun, int kVoxels, int kPitch>
void correlate_tile_runs(const CorrelationPlane& plane, const CorrelationChunk& chunk,
                         int64_t first, bool starts, float* sums, const InPlace& place) {
  F16 accumulator[kVoxels];
#pragma GCC unroll 28
  for (int voxel = 0; voxel < kVoxels; ++voxel) {
    accumulator[voxel] = F16::load(starts ? plane.bias : sums + voxel * 16);
  }
  const float* weights = chunk.weights;
  for (int32_t b = 0; b < chunk.num_blocks; ++b) {
    const float* source = chunk.source + b * chunk.block_pitch + first * kPitch;
    const int32_t lanes = chunk.lanes[b];
    for (int32_t tap = 0; tap < plane.num_taps; tap += kRun) {
      const float* x = source + plane.tap_offsets[tap] * kPitch;
      for (int32_t lane = 0; lane < lanes; ++lane) {
        F16 w[kRun];
#pragma GCC unroll 5
        for (int run = 0; run < kRun; ++run) w[run] = load_operand(weights + run * lanes * 16);
#pragma GCC unroll 32
        for (int voxel = 0; voxel < kVoxels + kRun - 1; ++voxel) {
          const Broadcast value = broadcast_in_order(x + voxel * kPitch);
#pragma GCC unroll 5
          for (int run = 0; run < kRun; ++run) {
            const int output = voxel - run;
            if (output >= 0 && output < kVoxels) {
              multiply_add_in_order(accumulator[output], w[run], value);
            }
          }
        }
        weights += 16;
        ++x;
      }
      weights += lanes * (kRun - 1) * 16;
    }
  }
  if (place.stream) {
#pragma GCC unroll 28
    for (int voxel = 0; voxel < kVoxels; ++voxel) {
      accumulator[voxel].stream(place.out + voxel * 16);
    }
    return;
  }
  float* out = place.out != nullptr ? place.out : sums;
#pragma GCC unroll 28
  for (int voxel = 0; voxel < kVoxels; ++voxel) accumulator[voxel].store(out + voxel * 16);
}

/// The sums of even and odd lanes of eight channels, joined.
__m256 join_lanes(F16 sums) {
  const __m512 parts = even_then_odd(sums).v;
  return _mm256_add_ps(_mm512_castps512_ps256(parts), _mm512_extractf32x8_ps(parts, 1));
}

/// CorrelationPlane::halves: each multiply-add takes two source lanes. The last chunk leaves the
/// joined sums of whole blocks.
template <int kHalves, int kVoxels, bool kAsks>
void correlate_halves_tile(const CorrelationPlane& plane, const CorrelationChunk& chunk,
                           int64_t first, bool starts, bool ends, float* sums) {
  F16 accumulator[kHalves][kVoxels];
#pragma GCC unroll 3
  for (int half = 0; half < kHalves; ++half) {
#pragma GCC unroll 28
    for (int voxel = 0; voxel < kVoxels; ++voxel) {
      accumulator[half][voxel] =
          F16::load(starts ? plane.bias + half * 16 : sums + (half * kVoxels + voxel) * 16);
    }
  }
  const float* weights = chunk.weights;
  for (int32_t b = 0; b < chunk.num_blocks; ++b) {
    const float* source = chunk.source + b * chunk.block_pitch + first * 16;
    const int32_t lanes = chunk.lanes[b];
    for (int32_t tap = 0; tap < plane.num_taps; ++tap) {
      if constexpr (kAsks) ask_for_lines(*plane.ahead);
      const float* x = source + plane.tap_offsets[tap] * 16;
      for (int32_t lane = 0; lane < lanes; lane += 2) {
        F16 w[kHalves];
#pragma GCC unroll 3
        for (int half = 0; half < kHalves; ++half) w[half] = load_in_order(weights + half * 16);
#pragma GCC unroll 28
        for (int voxel = 0; voxel < kVoxels; ++voxel) {
          const Broadcast value = broadcast_pair_in_order(x + voxel * 16);
#pragma GCC unroll 3
          for (int half = 0; half < kHalves; ++half) {
            multiply_add_in_order(accumulator[half][voxel], w[half], value);
          }
        }
        weights += kHalves * 16;
        x += 2;
      }
    }
  }
#pragma GCC unroll 28
  for (int voxel = 0; voxel < kVoxels; ++voxel) {
#pragma GCC unroll 3
    for (int half = 0; half < kHalves; ++half) {
      if (!ends) {
        accumulator[half][voxel].store(sums + (half * kVoxels + voxel) * 16);
        continue;
      }
      float* out = sums + (half / 2 * kVoxels + voxel) * 16 + half % 2 * 8;
      _mm256_storeu_ps(out, join_lanes(accumulator[half][voxel]));
      if (half % 2 == 0 && half + 1 == kHalves) _mm256_storeu_ps(out + 8, _mm256_setzero_ps());
    }
  }
}
#endif

#if defined(__AVX512F__)
template <int kRun, int kVoxels>
void correlate_tile_runs_any_pitch(const CorrelationPlane& plane, const CorrelationChunk& chunk,
                                   int64_t first, bool starts, float* sums, const InPlace& place) {
  if (chunk.pitch == 16) {
    correlate_tile_runs<kRun, kVoxels, 16>(plane, chunk, first, starts, sums, place);
  } else {
    correlate_tile_runs<kRun, kVoxels, 4>(plane, chunk, first, starts, sums, place);
  }
}
#endif

template <int kVoxels, int kBlocks, int kRun>
void correlate_tile_any_pitch(const CorrelationPlane& plane, const CorrelationChunk& chunk,
                              int64_t first, bool starts, float* sums) {
#if defined(__AVX512F__)
  if constexpr (kRun > 1) {
    correlate_tile_runs_any_pitch<kRun, kVoxels>(plane, chunk, first, starts, sums, {});
    return;
  }
#endif
  if (chunk.pitch != 16) {
    correlate_tile<kVoxels, kBlocks, 4, false>(plane, chunk, first, starts, sums);
  } else if (plane.ahead == nullptr) {
    correlate_tile<kVoxels, kBlocks, 16, false>(plane, chunk, first, starts, sums);
  } else {
    correlate_tile<kVoxels, kBlocks, 16, true>(plane, chunk, first, starts, sums);
  }
}

void store_voxels(const CorrelationDestination& destination, int64_t row, int64_t column,
                  int64_t count, const float* sums) {
  float* out = destination.origin + row * destination.row_pitch + column * destination.voxel_step;
  if (destination.moments != nullptr) row_moments(sums, count, *destination.moments);
  if (destination.stream) {
    for (int64_t i = 0; i < count; ++i) {
      F16::load(sums + i * 16).stream(out + i * destination.voxel_step);
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    if (destination.plain) {
      for (int32_t c = 0; c < destination.channels; ++c) {
        out[i * destination.voxel_step + c * destination.channel_pitch] = sums[i * 16 + c];
      }
    } else {
      F16::load(sums + i * 16).store(out + i * destination.voxel_step);
    }
  }
}

template <int kVoxels, int kBlocks>
void store_tile(const CorrelationPlane& plane, int64_t first, const float* sums) {
  int64_t row = first / plane.row_pitch;
  int64_t column = first - row * plane.row_pitch;
  int64_t voxel = 0;
  while (voxel < kVoxels && row < plane.rows) {
    const int64_t to_row_end = plane.columns - column;
    const int64_t left = kVoxels - voxel;
    const int64_t count = to_row_end < left ? to_row_end : left;
    if (count > 0) {
      for (int block = 0; block < kBlocks; ++block) {
        if (plane.destinations[block].origin != nullptr) {
          store_voxels(plane.destinations[block], row, column, count,
                       sums + (block * kVoxels + voxel) * 16);
        }
      }
    }
    voxel += plane.row_pitch - column;
    column = 0;
    ++row;
  }
}

template <int kVoxels, int kBlocks, int kRun>
void correlate(const CorrelationPlane& plane) {
  constexpr int64_t kTileFloats = int64_t{kVoxels} * kBlocks * 16;
  const int64_t flat = (plane.rows - 1) * plane.row_pitch + plane.columns;
  if (plane.num_chunks == 1) {
    for (int64_t first = 0; first < flat; first += kVoxels) {
#if defined(__AVX512F__)
      if constexpr (kRun > 1) {
        const InPlace place = in_place<kVoxels>(plane, first);
        if (place.out != nullptr) {
          correlate_tile_runs_any_pitch<kRun, kVoxels>(plane, plane.chunks[0], first, true,
                                                       plane.accumulators, place);
          continue;
        }
      }
#endif
      correlate_tile_any_pitch<kVoxels, kBlocks, kRun>(plane, plane.chunks[0], first, true,
                                                       plane.accumulators);
      store_tile<kVoxels, kBlocks>(plane, first, plane.accumulators);
    }
    return;
  }
  // The weights of a chunk stay in cache while all tiles pass by.
  for (int32_t chunk = 0; chunk < plane.num_chunks; ++chunk) {
    float* sums = plane.accumulators;
    for (int64_t first = 0; first < flat; first += kVoxels, sums += kTileFloats) {
      correlate_tile_any_pitch<kVoxels, kBlocks, kRun>(plane, plane.chunks[chunk], first,
                                                       chunk == 0, sums);
      if (chunk + 1 == plane.num_chunks) store_tile<kVoxels, kBlocks>(plane, first, sums);
    }
  }
}

#if defined(__AVX512F__)
template <int kHalves, int kVoxels>
void correlate_halves(const CorrelationPlane& plane) {
  const int64_t flat = (plane.rows - 1) * plane.row_pitch + plane.columns;
  const auto tile = plane.ahead == nullptr ? correlate_halves_tile<kHalves, kVoxels, false>
                                           : correlate_halves_tile<kHalves, kVoxels, true>;
  for (int32_t chunk = 0; chunk < plane.num_chunks; ++chunk) {
    const bool is_last = chunk + 1 == plane.num_chunks;
    float* sums = plane.accumulators;
    for (int64_t first = 0; first < flat; first += kVoxels) {
      tile(plane, plane.chunks[chunk], first, chunk == 0, is_last, sums);
      if (is_last) store_tile<kVoxels, (kHalves + 1) / 2>(plane, first, sums);
      // A single chunk's tiles follow each other through the same sums.
      if (plane.num_chunks > 1) sums += kHalves * kVoxels * 16;
    }
  }
}
#endif

}  // namespace

void correlate_plane(const CorrelationPlane& plane) {
#if defined(__AVX512F__)
  if (plane.halves == 3) {
    correlate_halves<3, kTileVoxels3Halves>(plane);
  } else if (plane.halves == 2) {
    correlate_halves<2, kTileVoxels2>(plane);
  } else if (plane.halves == 1) {
    correlate_halves<1, kTileVoxels1>(plane);
  } else if (plane.num_destinations == 2) {
    correlate<kTileVoxels2, 2, 1>(plane);
  } else if (plane.tap_run == 5) {
    correlate<kTileVoxels1Run5, 1, 5>(plane);
  } else if (plane.tap_run == 3) {
    correlate<kTileVoxels1, 1, 3>(plane);
  } else {
    correlate<kTileVoxels1, 1, 1>(plane);
  }
#else
  correlate<kTileVoxels1, 1, 1>(plane);
#endif
#if defined(__AVX2__)
  // Other threads see streamed stores in order only behind a fence.
  if (plane.destinations[0].stream || plane.destinations[1].stream) _mm_sfence();
#endif
}

int32_t correlation_max_destinations() { return kMaxDestinations; }

bool correlation_takes_halves() {
#if defined(__AVX512F__)
  return true;
#else
  return false;
#endif
}

int64_t correlation_tile_voxels(int32_t num_destinations, [[maybe_unused]] int32_t halves,
                                [[maybe_unused]] int32_t tap_run) {
#if defined(__AVX512F__)
  if (halves > 0)
    return halves == 1 ? kTileVoxels1 : halves == 2 ? kTileVoxels2 : kTileVoxels3Halves;
  if (num_destinations == 1 && tap_run == 5) return kTileVoxels1Run5;
#endif
  return num_destinations == 2 ? kTileVoxels2 : kTileVoxels1;
}

}  // namespace wholemount::WM_ISA
