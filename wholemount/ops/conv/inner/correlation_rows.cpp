#include "wholemount/ops/conv/inner/correlation_rows.h"

#include "wholemount/ops/conv/inner/multiply_add.h"

namespace wholemount::WM_ISA {

namespace {

template <int kRows, int kColumns, int kBlocks>
void correlate_tile(const CorrelationPlane& plane, const CorrelationChunk& chunk,
                    const int64_t (&row_offsets)[kRows], bool starts, float* sums) {
  F16 accumulator[kRows][kColumns][kBlocks];
#pragma GCC unroll 6
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 7
    for (int column = 0; column < kColumns; ++column) {
#pragma GCC unroll 2
      for (int block = 0; block < kBlocks; ++block) {
        accumulator[row][column][block] =
            F16::load(starts ? plane.bias + block * 16
                             : sums + ((row * kColumns + column) * kBlocks + block) * 16);
      }
    }
  }
  const float* weights = chunk.weights;
  for (int32_t b = 0; b < chunk.num_blocks; ++b) {
    const float* source = chunk.source + b * chunk.block_pitch;
    const int32_t lanes = chunk.lanes[b];
    for (int32_t tap = 0; tap < plane.num_taps; ++tap) {
      const float* x[kRows];
#pragma GCC unroll 6
      for (int row = 0; row < kRows; ++row) {
        x[row] = source + (row_offsets[row] + plane.tap_offsets[tap]) * 16;
      }
      for (int32_t lane = 0; lane < lanes; ++lane) {
        F16 w[kBlocks];
#pragma GCC unroll 2
        for (int block = 0; block < kBlocks; ++block) w[block] = load_operand(weights + block * 16);
#pragma GCC unroll 6
        for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 7
          for (int column = 0; column < kColumns; ++column) {
            const Broadcast value = broadcast(x[row] + column * 16 + lane);
#pragma GCC unroll 2
            for (int block = 0; block < kBlocks; ++block) {
              multiply_add(accumulator[row][column][block], w[block], value);
            }
          }
        }
        weights += kBlocks * 16;
      }
    }
  }
#pragma GCC unroll 6
  for (int row = 0; row < kRows; ++row) {
#pragma GCC unroll 7
    for (int column = 0; column < kColumns; ++column) {
#pragma GCC unroll 2
      for (int block = 0; block < kBlocks; ++block) {
        accumulator[row][column][block].store(sums +
                                              ((row * kColumns + column) * kBlocks + block) * 16);
      }
    }
  }
}

template <int kColumns, int kBlocks>
void store_row(const CorrelationPlane& plane, int64_t d, int64_t h, const float* sums) {
  for (int block = 0; block < kBlocks; ++block) {
    const CorrelationDestination& destination = plane.destinations[block];
    if (destination.origin == nullptr) continue;
    float* out = destination.origin + d * destination.plane_pitch + h * destination.row_pitch;
    for (int column = 0; column < kColumns; ++column) {
      F16::load(sums + (column * kBlocks + block) * 16)
          .store(out + column * destination.voxel_step);
    }
  }
}

template <int kRows, int kColumns, int kBlocks>
void correlate(const CorrelationPlane& plane) {
  constexpr int64_t kRowFloats = int64_t{kColumns} * kBlocks * 16;
  const int64_t num_rows = plane.planes * plane.rows;
  for (int32_t chunk = 0; chunk < plane.num_chunks; ++chunk) {
    const bool is_last = chunk + 1 == plane.num_chunks;
    float* sums = plane.accumulators;
    for (int64_t first = 0; first < num_rows; first += kRows) {
      int64_t row_offsets[kRows];
      for (int row = 0; row < kRows; ++row) {
        // Rows beyond the last repeat it and are dropped.
        const int64_t r = first + row < num_rows ? first + row : num_rows - 1;
        row_offsets[row] = r / plane.rows * plane.plane_pitch + r % plane.rows * plane.row_pitch;
      }
      correlate_tile<kRows, kColumns, kBlocks>(plane, plane.chunks[chunk], row_offsets, chunk == 0,
                                               sums);
      for (int row = 0; is_last && row < kRows && first + row < num_rows; ++row) {
        const int64_t r = first + row;
        store_row<kColumns, kBlocks>(plane, r / plane.rows, r % plane.rows,
                                     sums + row * kRowFloats);
      }
      // A single chunk's tiles follow each other through the same sums.
      if (plane.num_chunks > 1) sums += kRows * kRowFloats;
    }
  }
}

// The longest rows that are taken so, and the rows of a tile: about as many accumulators as there
// are registers, beside the weights and a voxel.
#if defined(__AVX512F__)
constexpr int kMostColumns = 7;
constexpr int tile_rows(int columns) { return columns > 4 ? 2 : 12 / columns; }
#elif defined(__AVX2__)
constexpr int kMostColumns = 6;
constexpr int tile_rows(int columns) { return 6 / columns; }
#else
constexpr int kMostColumns = 2;
constexpr int tile_rows(int columns) { return 2 / columns; }
#endif

template <int kBlocks, int kColumns = kMostColumns>
void correlate_any(const CorrelationPlane& plane) {
  if constexpr (kColumns > 2) {
    if (plane.columns < kColumns) return correlate_any<kBlocks, kColumns - 1>(plane);
  }
  correlate<tile_rows(kColumns), kColumns, kBlocks>(plane);
}

}  // namespace

void correlate_rows(const CorrelationPlane& plane) {
#if defined(__AVX512F__)
  if (plane.num_destinations == 2) return correlate_any<2>(plane);
#endif
  correlate_any<1>(plane);
}

int64_t correlation_row_tile(int64_t columns) {
  return columns < 2 || columns > kMostColumns ? 0 : tile_rows(static_cast<int>(columns));
}

}  // namespace wholemount::WM_ISA
