#include "wholemount/ops/conv/inner/winograd_sums.h"

#include "wholemount/ops/conv/inner/multiply_add.h"

namespace wholemount::WM_ISA {

namespace {

#if defined(__AVX512F__)
constexpr int kTiles1 = 28;
constexpr int kTiles2 = 14;
#elif defined(__AVX2__)
constexpr int kTiles1 = 6;
#else
constexpr int kTiles1 = 4;
#endif

/// The products of one register tile; `next` is the step after it, whose operands are asked for.
struct Step {
  int32_t frequency;
  int64_t first;  ///< tile
};

template <int kTiles, int kBlocks>
void add_tile(const WinogradSums& product, const Step& step, const Step& next) {
  const int32_t frequency = step.frequency;
  const int64_t first = step.first;
  const float* next_sums = product.sums + next.frequency * product.sums_pitch + next.first * 16;
  const float* next_source =
      product.source + next.frequency * product.source_pitch + next.first * 16;
  const int64_t to_next_weights = product.weights_pitch;
  F16 sum[kBlocks][kTiles];
  float* sums = product.sums + frequency * product.sums_pitch + first * 16;
#pragma GCC unroll 2
  for (int block = 0; block < kBlocks; ++block) {
    const float* from = sums + block * product.destination_pitch;
#pragma GCC unroll 28
    for (int tile = 0; tile < kTiles; ++tile) {
      sum[block][tile] = product.add ? F16::load(from + tile * 16) : F16::zero();
    }
  }
  const float* weights = product.weights + frequency * product.weights_pitch;
  const float* source = product.source + frequency * product.source_pitch + first * 16;
  for (int32_t b = 0; b < product.num_blocks; ++b) {
    const float* x = source + b * product.block_pitch;
    const int32_t lanes = product.lanes[b];
    const float* ask = next_source + b * product.block_pitch;
    for (int32_t lane = 0; lane < lanes; ++lane) {
      __builtin_prefetch(ask, 0, 3);
      ask += 16;
      if (b == 0) {
#pragma GCC unroll 2
        for (int block = 0; block < kBlocks; ++block) {
          __builtin_prefetch(next_sums + block * product.destination_pitch, 1, 3);
        }
        next_sums += 16;
      }
#pragma GCC unroll 2
      for (int block = 0; block < kBlocks; ++block) {
        __builtin_prefetch(weights + to_next_weights + block * 16, 0, 3);
      }
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
#pragma GCC unroll 2
  for (int block = 0; block < kBlocks; ++block) {
    float* to = sums + block * product.destination_pitch;
#pragma GCC unroll 28
    for (int tile = 0; tile < kTiles; ++tile) sum[block][tile].store(to + tile * 16);
  }
}

/// Full register tiles of kTiles, then the smallest of the lesser ones that holds the rest.
template <int kTiles, int kLess, int kLesser, int kLeast, int kBlocks>
void add_tiles(const WinogradSums& product) {
  LinesAhead& ahead = *product.ahead;
  Step step{0, 0};
  while (step.frequency < product.num_frequencies) {
    Step next{step.frequency, step.first + kTiles};
    if (next.first >= product.num_tiles) next = {step.frequency + 1, 0};
    const LineRange some = ahead.next();
    for (int64_t i = 0; i < some.lines; ++i) __builtin_prefetch(some.begin + i * 16, 0, 2);
    const int64_t left = product.num_tiles - step.first;
    if (left > kLess) {
      add_tile<kTiles, kBlocks>(product, step, next);
    } else if (left > kLesser) {
      add_tile<kLess, kBlocks>(product, step, next);
    } else if (left > kLeast) {
      add_tile<kLesser, kBlocks>(product, step, next);
    } else {
      add_tile<kLeast, kBlocks>(product, step, next);
    }
    step = next;
  }
}

}  // namespace

void winograd_add_products(const WinogradSums& product) {
#if defined(__AVX512F__)
  if (product.num_destinations == 2) {
    add_tiles<kTiles2, 10, 7, 4, 2>(product);
  } else {
    add_tiles<kTiles1, 20, 14, 7, 1>(product);
  }
#elif defined(__AVX2__)
  add_tiles<kTiles1, 4, 3, 2, 1>(product);
#else
  add_tiles<kTiles1, 3, 2, 1, 1>(product);
#endif
}

int64_t winograd_sums_steps(int64_t num_tiles, [[maybe_unused]] int32_t num_destinations) {
#if defined(__AVX512F__)
  if (num_destinations == 2) return (num_tiles + kTiles2 - 1) / kTiles2;
#endif
  return (num_tiles + kTiles1 - 1) / kTiles1;
}

}  // namespace wholemount::WM_ISA
