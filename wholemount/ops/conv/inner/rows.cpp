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

/// Voxels of kPitch floats; the lanes beyond kChannels become zero, so that no stray bits (slow
/// denormal numbers among them) reach the multiply-adds.
template <int kChannels, int kPitch>
void copy_plain(const RowCopy& row, float* destination) {
  for (int64_t i = 0; i < row.count; ++i) {
    float voxel[kPitch] = {};
    const float* source = row.source + i * row.source_step;
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
  } else if (!row.transformed) {
    for (int64_t i = 0; i < row.count; ++i) {
      F16::load(row.source + i * row.source_step).store(destination + i * 16);
    }
  } else {
    const LoadTransform16 transform = block_transform(row.scale, row.shift, row.slope);
    for (int64_t i = 0; i < row.count; ++i) {
      transform.apply(F16::load(row.source + i * row.source_step)).store(destination + i * 16);
    }
  }
  fill_zero(destination + row.count * row.pitch, row.zeros_after * row.pitch);
}

void sum_row(const RowSum& row) {
  // Short float32 runs, joined in float64: the true gradient of a bias before a norm is zero.
  constexpr int64_t kRun = 16;
  if (row.plain) {
    for (int32_t c = 0; c < row.channels; ++c) {
      const float* source = row.source + c * row.channel_pitch;
      const float scale = row.scale != nullptr ? row.scale[c] : 1.0F;
      const float shift = row.shift != nullptr ? row.shift[c] : 0.0F;
      double sum = 0.0;
      for (int64_t i = 0; i < row.count; ++i) {
        sum += static_cast<double>(
            row.transformed ? read_through(source[i], scale, shift, row.slope) : source[i]);
      }
      row.sums[c] += sum;
    }
    return;
  }
  const LoadTransform16 transform = block_transform(row.scale, row.shift, row.slope);
  float lanes[16];
  for (int64_t begin = 0; begin < row.count; begin += kRun) {
    const int64_t end = begin + kRun < row.count ? begin + kRun : row.count;
    F16 sum = F16::zero();
    for (int64_t i = begin; i < end; ++i) {
      const F16 x = F16::load(row.source + i * 16);
      sum = sum + (row.transformed ? transform.apply(x) : x);
    }
    sum.store(lanes);
    for (int lane = 0; lane < 16; ++lane) row.sums[lane] += static_cast<double>(lanes[lane]);
  }
}

}  // namespace wholemount::WM_ISA
