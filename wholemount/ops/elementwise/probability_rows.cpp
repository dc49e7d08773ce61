#include "wholemount/ops/elementwise/probability_rows.h"

namespace wholemount::WM_ISA {

namespace {

// Voxels worked on at a time; their per-voxel sums stay in registers or L1. Plain loops over them:
// the compiler turns them into vector code for tensors of block width 1.
constexpr int64_t kChunk = 64;

/// exp(x) for x <= 0, at most 3 units in the last place from the exact value; below -87 the
/// smallest normal numbers. x = k ln 2 + r, |r| <= ln 2 / 2; exp(r) by its Taylor series up to r^7,
/// whose remainder is below 6e-9.
inline float exp_nonpositive(float x) {
  const float clamped = x > -87.0F ? x : -87.0F;
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float k = (clamped * 1.44269504F + kRounder) - kRounder;
  const float r = (clamped - k * 0.693359375F) + k * 2.12194440e-4F;
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const int32_t power = (static_cast<int32_t>(k) + 127) << 23;
  return p * __builtin_bit_cast(float, power);
}

inline float sigmoid(float x) {
  const float e = exp_nonpositive(x > 0.0F ? -x : x);
  return (x > 0.0F ? 1.0F : e) / (1.0F + e);
}

/// Channel c of the voxels from `first` on.
template <class T>
T* channel(T* base, const ChannelRows& rows, int64_t block_pitch, int64_t c, int64_t first) {
  return base + (c / rows.block_width) * block_pitch + first * rows.block_width +
         c % rows.block_width;
}

/// Calls body(first voxel, number of voxels, stride between voxels), with the common stride 1 known
/// to the compiler.
template <class Body>
void for_each_chunk(const ChannelRows& rows, Body body) {
  struct One {
    constexpr operator int64_t() const { return 1; }
  };
  for (int64_t first = 0; first < rows.count; first += kChunk) {
    const int64_t count = rows.count - first < kChunk ? rows.count - first : kChunk;
    if (rows.block_width == 1) {
      body(first, count, One{});
    } else {
      body(first, count, rows.block_width);
    }
  }
}

/// Lanes beyond the channels become zero.
void zero_padding(const ChannelRows& rows, float* y, int64_t block_pitch) {
  for (int64_t c = rows.channels; c % rows.block_width != 0; ++c) {
    float* lane = channel(y, rows, block_pitch, c, 0);
    for (int64_t i = 0; i < rows.count; ++i) lane[i * rows.block_width] = 0.0F;
  }
}

}  // namespace

void sigmoid_row(const ProbabilityRow& row) {
  for_each_chunk(row.rows, [&](int64_t first, int64_t count, auto stride) {
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      const float* x = channel(row.x, row.rows, row.x_block_pitch, c, first);
      float* y = channel(row.y, row.rows, row.y_block_pitch, c, first);
      for (int64_t i = 0; i < count; ++i) y[i * stride] = sigmoid(x[i * stride]);
    }
  });
  zero_padding(row.rows, row.y, row.y_block_pitch);
}

void softmax_row(const ProbabilityRow& row) {
  for_each_chunk(row.rows, [&](int64_t first, int64_t count, auto stride) {
    float greatest[kChunk];
    float sum[kChunk] = {};
    const float* x0 = channel(row.x, row.rows, row.x_block_pitch, 0, first);
    for (int64_t i = 0; i < count; ++i) greatest[i] = x0[i * stride];
    for (int64_t c = 1; c < row.rows.channels; ++c) {
      const float* x = channel(row.x, row.rows, row.x_block_pitch, c, first);
      for (int64_t i = 0; i < count; ++i) {
        greatest[i] = x[i * stride] > greatest[i] ? x[i * stride] : greatest[i];
      }
    }
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      const float* x = channel(row.x, row.rows, row.x_block_pitch, c, first);
      float* y = channel(row.y, row.rows, row.y_block_pitch, c, first);
      for (int64_t i = 0; i < count; ++i) {
        const float e = exp_nonpositive(x[i * stride] - greatest[i]);
        sum[i] += e;
        y[i * stride] = e;
      }
    }
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      float* y = channel(row.y, row.rows, row.y_block_pitch, c, first);
      for (int64_t i = 0; i < count; ++i) y[i * stride] = y[i * stride] / sum[i];
    }
  });
  zero_padding(row.rows, row.y, row.y_block_pitch);
}

void sigmoid_backward_row(const ProbabilityBackwardRow& row) {
  for_each_chunk(row.rows, [&](int64_t first, int64_t count, auto stride) {
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      const float* y = channel(row.y, row.rows, row.y_block_pitch, c, first);
      const float* grad_y = channel(row.grad_y, row.rows, row.grad_y_block_pitch, c, first);
      float* grad_x = channel(row.grad_x, row.rows, row.grad_x_block_pitch, c, first);
      for (int64_t i = 0; i < count; ++i) {
        grad_x[i * stride] = grad_y[i * stride] * y[i * stride] * (1.0F - y[i * stride]);
      }
    }
  });
  zero_padding(row.rows, row.grad_x, row.grad_x_block_pitch);
}

void softmax_backward_row(const ProbabilityBackwardRow& row) {
  for_each_chunk(row.rows, [&](int64_t first, int64_t count, auto stride) {
    float dot[kChunk] = {};
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      const float* y = channel(row.y, row.rows, row.y_block_pitch, c, first);
      const float* grad_y = channel(row.grad_y, row.rows, row.grad_y_block_pitch, c, first);
      for (int64_t i = 0; i < count; ++i) dot[i] += y[i * stride] * grad_y[i * stride];
    }
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      const float* y = channel(row.y, row.rows, row.y_block_pitch, c, first);
      const float* grad_y = channel(row.grad_y, row.rows, row.grad_y_block_pitch, c, first);
      float* grad_x = channel(row.grad_x, row.rows, row.grad_x_block_pitch, c, first);
      for (int64_t i = 0; i < count; ++i) {
        grad_x[i * stride] = y[i * stride] * (grad_y[i * stride] - dot[i]);
      }
    }
  });
  zero_padding(row.rows, row.grad_x, row.grad_x_block_pitch);
}

void argmax_row(const LabelRow& row) {
  for_each_chunk(row.rows, [&](int64_t first, int64_t count, auto stride) {
    float greatest[kChunk];
    int32_t label[kChunk] = {};
    const float* x0 = channel(row.x, row.rows, row.x_block_pitch, 0, first);
    for (int64_t i = 0; i < count; ++i) greatest[i] = x0[i * stride];
    for (int64_t c = 1; c < row.rows.channels; ++c) {
      const float* x = channel(row.x, row.rows, row.x_block_pitch, c, first);
      for (int64_t i = 0; i < count; ++i) {
        const bool greater = x[i * stride] > greatest[i];
        label[i] = greater ? static_cast<int32_t>(c) : label[i];
        greatest[i] = greater ? x[i * stride] : greatest[i];
      }
    }
    for (int64_t i = 0; i < count; ++i) row.labels[first + i] = static_cast<uint8_t>(label[i]);
  });
}

void sign_bits_row(const LabelRow& row) {
  for_each_chunk(row.rows, [&](int64_t first, int64_t count, auto stride) {
    int32_t bits[kChunk] = {};
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      const float* x = channel(row.x, row.rows, row.x_block_pitch, c, first);
      const int32_t bit = 1 << c;
      for (int64_t i = 0; i < count; ++i) bits[i] |= x[i * stride] > 0.0F ? bit : 0;
    }
    for (int64_t i = 0; i < count; ++i) row.labels[first + i] = static_cast<uint8_t>(bits[i]);
  });
}

}  // namespace wholemount::WM_ISA
