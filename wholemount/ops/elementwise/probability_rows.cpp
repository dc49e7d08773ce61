#include "wholemount/ops/elementwise/probability_rows.h"

#include "wholemount/base/simd/f16_math.h"
#include "wholemount/base/simd/f16_shuffle.h"
#include "wholemount/base/simd/transpose16.h"

namespace wholemount::WM_ISA {

namespace {

// Voxels are taken sixteen at a time. Plain tensors: a vector holds one channel of all sixteen.
// Blocked tensors: a vector holds sixteen channels of one voxel; what joins channels is gathered
// lane by lane first and turned round once for the sixteen.
constexpr int64_t kGroup = 16;
constexpr float kLowest = -3.0e38F;

void store_labels(F16 labels, uint8_t* p, int64_t count) {
  uint8_t buffer[kGroup];
  store_u8(labels, count >= kGroup ? p : buffer);
  for (int64_t i = 0; count < kGroup && i < count; ++i) p[i] = buffer[i];
}

/// Calls body(first voxel, number of voxels).
template <class Body>
void for_each_group(const ChannelRows& rows, Body body) {
  for (int64_t first = 0; first < rows.count; first += kGroup) {
    body(first, rows.count - first < kGroup ? rows.count - first : kGroup);
  }
}

int64_t blocks_of(const ChannelRows& rows) { return (rows.channels + 15) / 16; }

/// 1 in the lanes that hold channels of block `block`, else 0.
F16 lanes_in_use(const ChannelRows& rows, int64_t block) {
  alignas(64) float lanes[16];
  for (int64_t i = 0; i < 16; ++i) lanes[i] = 16 * block + i < rows.channels ? 1.0F : 0.0F;
  return F16::load(lanes);
}
/// Lanes without a channel become the lowest number.
F16 without_padding(F16 x, F16 in_use) {
  return select_greater(in_use, F16::zero(), x, F16::set1(kLowest));
}

/// One vector a voxel, turned round: channel lanes of sixteen voxels.
struct Lanes {
  alignas(64) float by_voxel[256] = {};
  alignas(64) float by_lane[256];
  void turn() { transpose16(by_voxel, 16, by_lane, 16); }
  [[nodiscard]] F16 lane(int64_t i) const { return F16::load(by_lane + 16 * i); }
  [[nodiscard]] F16 sum() const {
    F16 sum = lane(0);
    for (int64_t i = 1; i < 16; ++i) sum = sum + lane(i);
    return sum;
  }
  [[nodiscard]] F16 greatest() const {
    F16 greatest = lane(0);
    for (int64_t i = 1; i < 16; ++i) greatest = max(lane(i), greatest);
    return greatest;
  }
};

F16 sigmoid(F16 x) {
  const F16 one = F16::set1(1.0F);
  const F16 e = exponential(F16::zero() - absolute(x));
  return select_greater(x, F16::zero(), one, e) * reciprocal(one + e);
}

/// Vectors of elements that do not depend on each other, whatever the layout: body(block, offset
/// from the block's first element, number of elements).
template <class Body>
void for_each_vector(const ChannelRows& rows, Body body) {
  const int64_t blocks = rows.block_width == 1 ? rows.channels : blocks_of(rows);
  const int64_t floats = rows.count * rows.block_width;
  for (int64_t i = 0; i < floats; i += 16) {
    for (int64_t b = 0; b < blocks; ++b) body(b, i, floats - i < 16 ? floats - i : 16);
  }
}

void plain_softmax(const ProbabilityRow& row) {
  for_each_group(row.rows, [&](int64_t first, int64_t count) {
    const float* x = row.x + first;
    float* y = row.y + first;
    F16 greatest = load_some(x, count);
    for (int64_t c = 1; c < row.rows.channels; ++c) {
      greatest = max(load_some(x + c * row.x_block_pitch, count), greatest);
    }
    F16 sum = F16::zero();
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      const F16 e = exponential(load_some(x + c * row.x_block_pitch, count) - greatest);
      sum = sum + e;
      store_some(e, y + c * row.y_block_pitch, count);
    }
    const F16 inverse = reciprocal(sum);
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      float* to = y + c * row.y_block_pitch;
      store_some(load_some(to, count) * inverse, to, count);
    }
  });
}

void blocked_softmax(const ProbabilityRow& row) {
  const int64_t blocks = blocks_of(row.rows);
  const F16 one = F16::set1(1.0F);
  const F16 last = lanes_in_use(row.rows, blocks - 1);
  Lanes lanes;
  for_each_group(row.rows, [&](int64_t first, int64_t count) {
    const float* x = row.x + first * 16;
    float* y = row.y + first * 16;
    for (int64_t v = 0; v < count; ++v) {
      F16 greatest = F16::set1(kLowest);
      for (int64_t b = 0; b < blocks; ++b) {
        const F16 value = F16::load(x + b * row.x_block_pitch + v * 16);
        greatest = max(b + 1 < blocks ? value : without_padding(value, last), greatest);
      }
      greatest.store(lanes.by_voxel + v * 16);
    }
    lanes.turn();
    alignas(64) float of_voxel[16];
    lanes.greatest().store(of_voxel);
    for (int64_t v = 0; v < count; ++v) {
      const F16 greatest = F16::set1(of_voxel[v]);
      F16 sum = F16::zero();
      for (int64_t b = 0; b < blocks; ++b) {
        const F16 value = F16::load(x + b * row.x_block_pitch + v * 16);
        const F16 e = exponential(value - greatest) * (b + 1 < blocks ? one : last);
        sum = sum + e;
        e.store(y + b * row.y_block_pitch + v * 16);
      }
      sum.store(lanes.by_voxel + v * 16);
    }
    lanes.turn();
    reciprocal(lanes.sum()).store(of_voxel);
    for (int64_t v = 0; v < count; ++v) {
      const F16 inverse = F16::set1(of_voxel[v]);
      for (int64_t b = 0; b < blocks; ++b) {
        float* to = y + b * row.y_block_pitch + v * 16;
        (F16::load(to) * inverse).store(to);
      }
    }
  });
}

void plain_softmax_backward(const ProbabilityBackwardRow& row) {
  for_each_group(row.rows, [&](int64_t first, int64_t count) {
    const auto y = [&](int64_t c) {
      return load_some(row.y + c * row.y_block_pitch + first, count);
    };
    const auto grad_y = [&](int64_t c) {
      return load_some(row.grad_y + c * row.grad_y_block_pitch + first, count);
    };
    F16 dot = F16::zero();
    for (int64_t c = 0; c < row.rows.channels; ++c) dot = fma(y(c), grad_y(c), dot);
    for (int64_t c = 0; c < row.rows.channels; ++c) {
      store_some(y(c) * (grad_y(c) - dot), row.grad_x + c * row.grad_x_block_pitch + first, count);
    }
  });
}

void blocked_softmax_backward(const ProbabilityBackwardRow& row) {
  const int64_t blocks = blocks_of(row.rows);
  Lanes lanes;
  for_each_group(row.rows, [&](int64_t first, int64_t count) {
    for (int64_t v = 0; v < count; ++v) {
      F16 products = F16::zero();
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t at = (first + v) * 16;
        products = fma(F16::load(row.y + b * row.y_block_pitch + at),
                       F16::load(row.grad_y + b * row.grad_y_block_pitch + at), products);
      }
      products.store(lanes.by_voxel + v * 16);
    }
    lanes.turn();
    alignas(64) float dots[16];
    lanes.sum().store(dots);
    for (int64_t v = 0; v < count; ++v) {
      const F16 dot = F16::set1(dots[v]);
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t at = (first + v) * 16;
        const F16 y = F16::load(row.y + b * row.y_block_pitch + at);
        const F16 grad_y = F16::load(row.grad_y + b * row.grad_y_block_pitch + at);
        (y * (grad_y - dot)).store(row.grad_x + b * row.grad_x_block_pitch + at);
      }
    }
  });
}

void plain_argmax(const LabelRow& row) {
  for_each_group(row.rows, [&](int64_t first, int64_t count) {
    const float* x = row.x + first;
    F16 greatest = load_some(x, count);
    F16 label = F16::zero();
    for (int64_t c = 1; c < row.rows.channels; ++c) {
      const F16 value = load_some(x + c * row.x_block_pitch, count);
      label = select_greater(value, greatest, F16::set1(static_cast<float>(c)), label);
      greatest = select_greater(value, greatest, value, greatest);
    }
    store_labels(label, row.labels + first, count);
  });
}

void blocked_argmax(const LabelRow& row) {
  const int64_t blocks = blocks_of(row.rows);
  const F16 last = lanes_in_use(row.rows, blocks - 1);
  constexpr float kNone = 256.0F;
  Lanes values;
  Lanes in_block;
  for_each_group(row.rows, [&](int64_t first, int64_t count) {
    for (int64_t v = 0; v < count; ++v) {
      F16 greatest = F16::set1(kLowest);
      F16 block = F16::zero();
      for (int64_t b = 0; b < blocks; ++b) {
        const F16 x = F16::load(row.x + b * row.x_block_pitch + (first + v) * 16);
        const F16 value = b + 1 < blocks ? x : without_padding(x, last);
        block = select_greater(value, greatest, F16::set1(static_cast<float>(16 * b)), block);
        greatest = max(value, greatest);
      }
      greatest.store(values.by_voxel + v * 16);
      if (blocks > 1) block.store(in_block.by_voxel + v * 16);
    }
    values.turn();
    if (blocks > 1) in_block.turn();
    const F16 greatest = values.greatest();
    // The first channel that is as great as the greatest.
    F16 label = F16::set1(kNone);
    for (int64_t i = 0; i < 16; ++i) {
      const F16 index = F16::set1(static_cast<float>(i));
      const F16 channel = blocks > 1 ? in_block.lane(i) + index : index;
      label = min(select_equal(values.lane(i), greatest, channel, F16::set1(kNone)), label);
    }
    // Where a logit is no number nothing is equal.
    store_labels(select_greater(F16::set1(kNone), label, label, F16::zero()), row.labels + first,
                 count);
  });
}

/// 2^lane in the lanes that hold channels (at most 8).
F16 lane_bits(const ChannelRows& rows) {
  alignas(64) float bits[16] = {};
  for (int64_t c = 0; c < rows.channels; ++c) bits[c] = static_cast<float>(1 << c);
  return F16::load(bits);
}

}  // namespace

void sigmoid_row(const ProbabilityRow& row) {
  const bool plain = row.rows.block_width == 1;
  const F16 one = F16::set1(1.0F);
  const int64_t blocks = plain ? row.rows.channels : blocks_of(row.rows);
  const F16 last = plain ? one : lanes_in_use(row.rows, blocks - 1);
  for_each_vector(row.rows, [&](int64_t block, int64_t i, int64_t count) {
    const F16 y = sigmoid(load_some(row.x + block * row.x_block_pitch + i, count));
    store_some(y * (block + 1 < blocks ? one : last), row.y + block * row.y_block_pitch + i, count);
  });
}

void softmax_row(const ProbabilityRow& row) {
  row.rows.block_width == 1 ? plain_softmax(row) : blocked_softmax(row);
}

void sigmoid_backward_row(const ProbabilityBackwardRow& row) {
  const F16 one = F16::set1(1.0F);
  for_each_vector(row.rows, [&](int64_t block, int64_t i, int64_t count) {
    const F16 y = load_some(row.y + block * row.y_block_pitch + i, count);
    const F16 grad_y = load_some(row.grad_y + block * row.grad_y_block_pitch + i, count);
    store_some(grad_y * y * (one - y), row.grad_x + block * row.grad_x_block_pitch + i, count);
  });
}

void softmax_backward_row(const ProbabilityBackwardRow& row) {
  row.rows.block_width == 1 ? plain_softmax_backward(row) : blocked_softmax_backward(row);
}

void argmax_row(const LabelRow& row) {
  row.rows.block_width == 1 ? plain_argmax(row) : blocked_argmax(row);
}

void sign_bits_row(const LabelRow& row) {
  if (row.rows.block_width == 1) {
    for_each_group(row.rows, [&](int64_t first, int64_t count) {
      F16 bits = F16::zero();
      for (int64_t c = 0; c < row.rows.channels; ++c) {
        const F16 x = load_some(row.x + c * row.x_block_pitch + first, count);
        const F16 bit = F16::set1(static_cast<float>(1 << c));
        bits = bits + select_greater(x, F16::zero(), bit, F16::zero());
      }
      store_labels(bits, row.labels + first, count);
    });
    return;
  }
  const F16 bit = lane_bits(row.rows);
  Lanes lanes;
  for_each_group(row.rows, [&](int64_t first, int64_t count) {
    for (int64_t v = 0; v < count; ++v) {
      const F16 x = F16::load(row.x + (first + v) * 16);
      select_greater(x, F16::zero(), bit, F16::zero()).store(lanes.by_voxel + v * 16);
    }
    lanes.turn();
    store_labels(lanes.sum(), row.labels + first, count);
  });
}

}  // namespace wholemount::WM_ISA
