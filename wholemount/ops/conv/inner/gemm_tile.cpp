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
constexpr int kTileVoxels2 = 6;
constexpr int32_t kMaxColumns = 1;
#else
constexpr int kTileVoxels1 = 2;
constexpr int kTileVoxels2 = 2;
constexpr int32_t kMaxColumns = 1;
#endif

template <int kVoxels, int kColumns>
void multiply_tile(const GemmRun& run, int64_t first) {
  F16 sum[kColumns][kVoxels];
#pragma GCC unroll 2
  for (int column = 0; column < kColumns; ++column) {
    const F16 bias = F16::load(run.bias + column * 16);
#pragma GCC unroll 28
    for (int voxel = 0; voxel < kVoxels; ++voxel) sum[column][voxel] = bias;
  }
  const float* weights = run.weights;
  const float* stream = run.source + first * 16;
  for (int32_t s = 0; s < run.num_streams; ++s) {
    const float* x = stream;
    const float* end = x + run.lanes[s];
    for (; x < end; ++x) {
      F16 w[kColumns];
#pragma GCC unroll 2
      for (int column = 0; column < kColumns; ++column) {
        w[column] = load_operand(weights + column * 16);
      }
#pragma GCC unroll 28
      for (int voxel = 0; voxel < kVoxels; ++voxel) {
        const Broadcast value = broadcast(x + voxel * 16);
#pragma GCC unroll 2
        for (int column = 0; column < kColumns; ++column) {
          multiply_add(sum[column][voxel], w[column], value);
        }
      }
      weights += kColumns * 16;
    }
    stream += run.stream_pitch;
  }
  const int64_t* offsets = run.offsets + first;
  const int64_t left = run.num_voxels - first;
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

}  // namespace

void gemm_run(const GemmRun& run) {
#if defined(__AVX512F__)
  if (run.num_columns == 2) {
    for (int64_t first = 0; first < run.num_voxels; first += kTileVoxels2) {
      multiply_tile<kTileVoxels2, 2>(run, first);
    }
    return;
  }
#endif
  for (int64_t first = 0; first < run.num_voxels; first += kTileVoxels1) {
    multiply_tile<kTileVoxels1, 1>(run, first);
  }
}

void gemm_fence() {
#if defined(__AVX2__)
  _mm_sfence();
#endif
}

int32_t gemm_max_columns() { return kMaxColumns; }

int64_t gemm_tile_voxels() { return kTileVoxels1; }

}  // namespace wholemount::WM_ISA
