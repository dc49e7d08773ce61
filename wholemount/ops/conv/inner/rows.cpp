#include "wholemount/ops/conv/inner/rows.h"

#include "wholemount/base/simd/f16.h"

namespace wholemount::WM_ISA {

namespace {

LoadTransform16 block_transform(const float* scale, const float* shift, float slope) {
  return {scale != nullptr ? F16::load(scale) : F16::set1(1.0F),
          shift != nullptr ? F16::load(shift) : F16::zero(), F16::set1(slope)};
}

float read_through(float x, float scale, float shift, float slope) {
#if defined(__FMA__)
  const float z = __builtin_fmaf(scale, x, shift);
#else
  const float z = scale * x + shift;
#endif
  return z > 0.0F ? z : slope * z;
}

void fill_zero(float* destination, int64_t count) {
  if (count == 0) return;
  for (int64_t i = 0; i < count; ++i) destination[i] = 0.0F;
}

/// Sixteen neighbouring voxels of four floats at a time; returns how many were copied.
template <int kChannels>
int64_t copy_plain_sixteens([[maybe_unused]] const RowCopy& row,
                            [[maybe_unused]] float* destination) {
  int64_t done = 0;
#if defined(__AVX512F__)
  if (row.source_step != 1) return 0;
  const __m512i quarters = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  for (; done + 16 <= row.count; done += 16) {
    F16 channel[kChannels];
#pragma GCC unroll 4
    for (int c = 0; c < kChannels; ++c) {
      channel[c] = F16::load(static_cast<const float*>(row.source) + done + c * row.channel_pitch);
      if (!row.transformed) continue;
      const LoadTransform16 transform{F16::set1(row.scale != nullptr ? row.scale[c] : 1.0F),
                                      F16::set1(row.shift != nullptr ? row.shift[c] : 0.0F),
                                      F16::set1(row.slope)};
      channel[c] = transform.apply(channel[c]);
    }
#pragma GCC unroll 4
    for (int four = 0; four < 4; ++four) {
      const __m512i lanes = _mm512_add_epi32(quarters, _mm512_set1_epi32(4 * four));
      __m512 voxels = _mm512_setzero_ps();
#pragma GCC unroll 4
      for (int c = 0; c < kChannels; ++c) {
        voxels = _mm512_mask_permutexvar_ps(voxels, static_cast<__mmask16>(0x1111 << c), lanes,
                                            channel[c].v);
      }
      _mm512_storeu_ps(destination + (done + 4 * four) * 4, voxels);
    }
  }
#endif
  return done;
}

/// Voxels of kPitch floats; the lanes beyond kChannels become zero, so that no stray bits (slow
/// denormal numbers among them) reach the multiply-adds.
template <int kChannels, int kPitch>
void copy_plain(const RowCopy& row, float* destination) {
  for (int64_t i = kPitch == 4 ? copy_plain_sixteens<kChannels>(row, destination) : 0;
       i < row.count; ++i) {
    float voxel[kPitch] = {};
    const float* source = static_cast<const float*>(row.source) + i * row.source_step;
#pragma GCC unroll 4
    for (int c = 0; c < kChannels; ++c) {
      const float x = source[c * row.channel_pitch];
      voxel[c] = row.transformed
                     ? read_through(x, row.scale != nullptr ? row.scale[c] : 1.0F,
                                    row.shift != nullptr ? row.shift[c] : 0.0F, row.slope)
                     : x;
    }
    __builtin_memcpy(destination + i * kPitch, voxel, sizeof(voxel));
  }
}

template <int kPitch>
void copy_plain_channels(const RowCopy& row, float* destination) {
  switch (row.channels) {
    case 1:
      return copy_plain<1, kPitch>(row, destination);
    case 2:
      return copy_plain<2, kPitch>(row, destination);
    case 3:
      return copy_plain<3, kPitch>(row, destination);
    default:
      return copy_plain<4, kPitch>(row, destination);
  }
}

}  // namespace

namespace {

template <class Element>
void copy_blocked(const RowCopy& row, float* destination) {
  // Voxels asked for ahead of time: rows are too short for the hardware to see them coming, and
  // what lies behind a row is mostly the next one.
  constexpr int64_t kAhead = 48;
  const auto* source = static_cast<const Element*>(row.source);
  if (!row.transformed) {
    for (int64_t i = 0; i < row.count; ++i) {
      __builtin_prefetch(source + (i + kAhead) * row.source_step, 0, 2);
      F16::load(source + i * row.source_step).store(destination + i * 16);
    }
    return;
  }
  const LoadTransform16 transform = block_transform(row.scale, row.shift, row.slope);
  for (int64_t i = 0; i < row.count; ++i) {
    __builtin_prefetch(source + (i + kAhead) * row.source_step, 0, 2);
    transform.apply(F16::load(source + i * row.source_step)).store(destination + i * 16);
  }
}

}  // namespace

void copy_row(const RowCopy& row) {
  float* destination = row.destination;
  fill_zero(destination, row.zeros_before * row.pitch);
  destination += row.zeros_before * row.pitch;
  if (row.plain) {
    if (row.pitch == 4) {
      copy_plain_channels<4>(row, destination);
    } else {
      copy_plain_channels<16>(row, destination);
    }
  } else if (row.bfloat16) {
    copy_blocked<Bfloat16>(row, destination);
  } else {
    copy_blocked<float>(row, destination);
  }
  fill_zero(destination + row.count * row.pitch, row.zeros_after * row.pitch);
}

namespace {

/// Short float32 runs, joined in float64: the true gradient of a bias before a norm is zero. Four
/// chains hide the latency of the addition.
template <bool kTransformed>
void sum_blocked(const RowSum& row) {
  constexpr int kChains = 4;
  constexpr int64_t kRun = 16;
  const LoadTransform16 transform = block_transform(row.scale, row.shift, row.slope);
  const auto load = [&](int64_t i) {
    const F16 x = F16::load(row.source + i * 16);
    return kTransformed ? transform.apply(x) : x;
  };
  float lanes[16];
  int64_t i = 0;
  for (; i + kRun <= row.count; i += kRun) {
    F16 sum[kChains];
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain) sum[chain] = load(i + chain);
#pragma GCC unroll 4
    for (int64_t k = kChains; k < kRun; k += kChains) {
#pragma GCC unroll 4
      for (int chain = 0; chain < kChains; ++chain) sum[chain] = sum[chain] + load(i + k + chain);
    }
    ((sum[0] + sum[1]) + (sum[2] + sum[3])).store(lanes);
    for (int lane = 0; lane < 16; ++lane) row.sums[lane] += static_cast<double>(lanes[lane]);
  }
  if (i == row.count) return;
  F16 sum = load(i);
  for (++i; i < row.count; ++i) sum = sum + load(i);
  sum.store(lanes);
  for (int lane = 0; lane < 16; ++lane) row.sums[lane] += static_cast<double>(lanes[lane]);
}

}  // namespace

void add_to_sums(const float* in, double* sums, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) sums[i] += static_cast<double>(in[i]);
}

namespace {

template <class Element>
void rectify(const RowRectify& row) {
  const auto* x = static_cast<const Element*>(row.x);
  const F16 slope = F16::set1(row.slope);
  for (int64_t i = 0; i < row.count * 16; i += 16) {
    const F16 gradient = F16::load(row.gradient + i);
    select_greater(F16::load(x + i), F16::zero(), gradient, gradient * slope)
        .store(row.gradient + i);
  }
}

}  // namespace

void rectify_row(const RowRectify& row) {
  row.bfloat16 ? rectify<Bfloat16>(row) : rectify<float>(row);
}

void sum_row(const RowSum& row) {
  if (row.plain) {
    for (int32_t c = 0; c < row.channels; ++c) {
      const float* source = row.source + c * row.channel_pitch;
      const float scale = row.scale != nullptr ? row.scale[c] : 1.0F;
      const float shift = row.shift != nullptr ? row.shift[c] : 0.0F;
      const auto read = [&](int64_t i) {
        return static_cast<double>(
            row.transformed ? read_through(source[i], scale, shift, row.slope) : source[i]);
      };
      // Several chains hide the latency of the addition.
      double chains[16] = {};
      int64_t i = 0;
      for (; i + 16 <= row.count; i += 16) {
        for (int64_t k = 0; k < 16; ++k) chains[k] += read(i + k);
      }
      double sum = 0.0;
      for (; i < row.count; ++i) sum += read(i);
      for (const double chain : chains) sum += chain;
      row.sums[c] += sum;
    }
    return;
  }
  row.transformed ? sum_blocked<true>(row) : sum_blocked<false>(row);
}

}  // namespace wholemount::WM_ISA
