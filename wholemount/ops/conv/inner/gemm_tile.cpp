#include "wholemount/ops/conv/inner/gemm_tile.h"

#include "wholemount/ops/conv/inner/multiply_add.h"

namespace wholemount::WM_ISA {

namespace {

// Register tiles: voxels for one and for two columns.
#if defined(__AVX512F__)
constexpr int kTileVoxels1 = 28;
constexpr int kTileVoxels2 = 14;
constexpr int32_t kMaxColumns = 2;
#elif defined(__AVX2__)
constexpr int kTileVoxels1 = 6;
constexpr int32_t kMaxColumns = 1;
#else
constexpr int kTileVoxels1 = 2;
constexpr int32_t kMaxColumns = 1;
#endif

template <int kVoxels, int kColumns, int kPitch>
void multiply_tile(const GemmRun& run, int64_t first) {
  F16 sum[kColumns][kVoxels];
#pragma GCC unroll 2
  for (int column = 0; column < kColumns; ++column) {
    const F16 bias = F16::load(run.bias + column * 16);
#pragma GCC unroll 28
    for (int voxel = 0; voxel < kVoxels; ++voxel) sum[column][voxel] = bias;
  }
  const float* weights = run.weights;
  for (int32_t s = 0; s < run.num_streams; ++s) {
    const float* x = run.streams[s] + first * kPitch;
    const float* end = x + run.lanes[s];
    if (kPitch == 32 && run.prefetch != 0) {
#pragma GCC unroll 20
      for (int voxel = 0; voxel < kVoxels; ++voxel) {
        __builtin_prefetch(x + run.prefetch + voxel * kPitch, 0, 2);
      }
    }
    for (; x < end; ++x) {
      F16 w[kColumns];
#pragma GCC unroll 2
      for (int column = 0; column < kColumns; ++column) {
        w[column] = load_operand(weights + column * 16);
      }
#pragma GCC unroll 28
      for (int voxel = 0; voxel < kVoxels; ++voxel) {
        const Broadcast value = broadcast(x + voxel * kPitch);
#pragma GCC unroll 2
        for (int column = 0; column < kColumns; ++column) {
          multiply_add(sum[column][voxel], w[column], value);
        }
      }
      weights += kColumns * 16;
    }
  }
  const int64_t* offsets = run.offsets + first;
  const int64_t left = run.last - first;
#pragma GCC unroll 2
  for (int column = 0; column < kColumns; ++column) {
    float* out = run.out[column];
    if (out == nullptr) continue;
    if (left >= kVoxels && run.stream) {
#pragma GCC unroll 28
      for (int voxel = 0; voxel < kVoxels; ++voxel) sum[column][voxel].stream(out + offsets[voxel]);
    } else {
#pragma GCC unroll 28
      for (int voxel = 0; voxel < kVoxels; ++voxel) {
        if (voxel < left) sum[column][voxel].store(out + offsets[voxel]);
      }
    }
  }
}

template <int kVoxels, int kColumns>
void multiply_packed(const GemmRun& run) {
  for (int64_t first = run.first; first < run.last; first += kVoxels) {
    multiply_tile<kVoxels, kColumns, 16>(run, first);
  }
}

/// Rows of the image itself: the last tile may not reach beyond the row, so it overlaps the one
/// before it, or is made of single voxels where the row is shorter than a tile.
template <int kVoxels, int kColumns>
void multiply_rows(const GemmRun& run) {
  if (run.last - run.first < kVoxels) {
    for (int64_t first = run.first; first < run.last; ++first) {
      multiply_tile<1, kColumns, 32>(run, first);
    }
    return;
  }
  for (int64_t first = run.first; first < run.last; first += kVoxels) {
    multiply_tile<kVoxels, kColumns, 32>(run,
                                         first + kVoxels > run.last ? run.last - kVoxels : first);
  }
}

#if defined(__AVX512F__)
/// The tile that covers the row with the fewest voxels computed twice.
void multiply_rows_of_two(const GemmRun& run) {
  const int64_t count = run.last - run.first;
  const auto computed = [count](int64_t tile) { return (count + tile - 1) / tile * tile; };
  if (computed(14) <= computed(12) && computed(14) <= computed(10)) {
    multiply_rows<14, 2>(run);
  } else if (computed(12) <= computed(10)) {
    multiply_rows<12, 2>(run);
  } else {
    multiply_rows<10, 2>(run);
  }
}
#endif

}  // namespace

void gemm_run(const GemmRun& run) {
#if defined(__AVX512F__)
  if (run.num_columns == 2) {
    run.pitch == 32 ? multiply_rows_of_two(run) : multiply_packed<kTileVoxels2, 2>(run);
    return;
  }
#endif
  if (run.pitch == 32) {
    multiply_rows<(kTileVoxels1 > 14 ? 20 : kTileVoxels1), 1>(run);
  } else {
    multiply_packed<kTileVoxels1, 1>(run);
  }
}

int32_t gemm_max_columns() { return kMaxColumns; }

int64_t gemm_tile_voxels() { return kTileVoxels1; }

}  // namespace wholemount::WM_ISA
