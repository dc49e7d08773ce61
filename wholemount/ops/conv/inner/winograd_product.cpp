#include "wholemount/ops/conv/inner/winograd_product.h"

#include "wholemount/ops/conv/inner/multiply_add.h"

namespace wholemount::WM_ISA {

namespace {

template <int kTiles, int kBlocks>
void product_tile(const WinogradProduct& product, int32_t frequency, int64_t first) {
  F16 sum[kBlocks][kTiles];
#pragma GCC unroll 2
  for (int block = 0; block < kBlocks; ++block) {
#pragma GCC unroll 28
    for (int tile = 0; tile < kTiles; ++tile) sum[block][tile] = F16::zero();
  }
  const float* weights = product.weights + frequency * product.weights_pitch;
  const float* source = product.source + frequency * product.source_pitch + first * 16;
  for (int32_t b = 0; b < product.num_blocks; ++b) {
    const float* x = source + b * product.block_pitch;
    const int32_t lanes = product.lanes[b];
    for (int32_t lane = 0; lane < lanes; ++lane) {
      F16 w[kBlocks];
#pragma GCC unroll 2
      for (int block = 0; block < kBlocks; ++block) w[block] = load_operand(weights + block * 16);
#pragma GCC unroll 28
      for (int tile = 0; tile < kTiles; ++tile) {
        const Broadcast value = broadcast(x + tile * 16);
#pragma GCC unroll 2
        for (int block = 0; block < kBlocks; ++block) {
          multiply_add(sum[block][tile], w[block], value);
        }
      }
      weights += kBlocks * 16;
      ++x;
    }
  }
  float* result = product.result + frequency * product.result_frequency_pitch + first * 16;
  const int64_t result_pitch = product.result_pitch;
#pragma GCC unroll 2
  for (int block = 0; block < kBlocks; ++block) {
#pragma GCC unroll 28
    for (int tile = 0; tile < kTiles; ++tile) sum[block][tile].store(result + tile * 16);
    result += result_pitch;
  }
}

/// Full register tiles of kTiles, then the smallest of the lesser ones that holds the rest.
template <int kTiles, int kLess, int kLesser, int kLeast, int kBlocks>
void product_tiles(const WinogradProduct& product) {
  for (int32_t f = 0; f < product.num_frequencies; ++f) {
    int64_t first = 0;
    for (; first + kLess < product.num_tiles; first += kTiles) {
      product_tile<kTiles, kBlocks>(product, f, first);
    }
    const int64_t left = product.num_tiles - first;
    if (left > kLesser) {
      product_tile<kLess, kBlocks>(product, f, first);
    } else if (left > kLeast) {
      product_tile<kLesser, kBlocks>(product, f, first);
    } else if (left > 0) {
      product_tile<kLeast, kBlocks>(product, f, first);
    }
  }
}

template <int kLanes, int kBlocks>
void gradient_tile(const WinogradGradientProduct& product, int32_t lane) {
  F16 sum[kLanes][kBlocks];
#pragma GCC unroll 16
  for (int l = 0; l < kLanes; ++l) {
#pragma GCC unroll 2
    for (int block = 0; block < kBlocks; ++block) {
      sum[l][block] = F16::zero();
      // The sums of one frequency have left the caches when their turn comes again.
      if (product.add) __builtin_prefetch(product.sums[block] + (lane + l) * 16, 1, 3);
    }
  }
  const float* fine = product.fine + lane;
  const float* coarse[kBlocks];
#pragma GCC unroll 2
  for (int block = 0; block < kBlocks; ++block) coarse[block] = product.coarse[block];
  for (int64_t tile = 0; tile < product.num_tiles; ++tile) {
    F16 y[kBlocks];
#pragma GCC unroll 2
    for (int block = 0; block < kBlocks; ++block) {
      y[block] = load_operand(coarse[block] + tile * 16);
    }
#pragma GCC unroll 16
    for (int l = 0; l < kLanes; ++l) {
      const Broadcast x = broadcast(fine + tile * 16 + l);
#pragma GCC unroll 2
      for (int block = 0; block < kBlocks; ++block) multiply_add(sum[l][block], y[block], x);
    }
  }
#pragma GCC unroll 16
  for (int l = 0; l < kLanes; ++l) {
#pragma GCC unroll 2
    for (int block = 0; block < kBlocks; ++block) {
      float* out = product.sums[block] + (lane + l) * 16;
      (product.add ? F16::load(out) + sum[l][block] : sum[l][block]).store(out);
    }
  }
}

}  // namespace

void winograd_product(const WinogradProduct& product) {
#if defined(__AVX512F__)
  if (product.num_destinations == 2) {
    product_tiles<14, 10, 7, 4, 2>(product);
  } else {
    product_tiles<28, 20, 14, 7, 1>(product);
  }
#elif defined(__AVX2__)
  product_tiles<6, 4, 3, 2, 1>(product);
#else
  product_tiles<4, 3, 2, 1, 1>(product);
#endif
}

void winograd_gradient_product(const WinogradGradientProduct& product) {
#if defined(__AVX512F__)
  if (product.num_coarse == 2) {
    for (int32_t lane = 0; lane < product.lanes; lane += 8) gradient_tile<8, 2>(product, lane);
  } else if (product.lanes > 8) {
    gradient_tile<16, 1>(product, 0);
  } else {
    gradient_tile<8, 1>(product, 0);
  }
#elif defined(__AVX2__)
  if (product.lanes > 12) {
    gradient_tile<6, 1>(product, 0);
    gradient_tile<6, 1>(product, 6);
    gradient_tile<4, 1>(product, 12);
  } else {
    for (int32_t lane = 0; lane < product.lanes; lane += 4) gradient_tile<4, 1>(product, lane);
  }
#else
  for (int32_t lane = 0; lane < product.lanes; lane += 2) gradient_tile<2, 1>(product, lane);
#endif
}

int32_t winograd_max_destinations() {
#if defined(__AVX512F__)
  return 2;
#else
  return 1;
#endif
}

int64_t winograd_tile_step() {
#if defined(__AVX512F__)
  return 14;
#elif defined(__AVX2__)
  return 6;
#else
  return 4;
#endif
}

}  // namespace wholemount::WM_ISA
