#include "wholemount/ops/loss/segmentation_lanes.h"

#include "wholemount/base/simd/f16_math.h"
#include "wholemount/base/simd/transpose16.h"

namespace wholemount::WM_ISA {

namespace {

// Sixteen voxels: channel c of the logits at logits + c * pitch, `mask` 1 for voxels that exist.
struct Group {
  const float* logits;
  int64_t pitch;
  const uint8_t* target;
  F16 mask;
};

// Presents the `count` <= 16 voxels from `first` on as a group, through `staging` where they do not
// lie side by side or end before sixteen.
Group make_group(const SegmentationRun& run, int64_t first, int64_t count, float* staging,
                 uint8_t* target_staging) {
  Group group{run.logits + first, run.block_pitch, run.target + first, F16::set1(1.0F)};
  if (count < 16) {
    alignas(64) float mask[16] = {};
    memset(target_staging, 0, 16);
    for (int64_t i = 0; i < count; ++i) {
      target_staging[i] = run.target[first + i];
      mask[i] = 1.0F;
    }
    group.target = target_staging;
    group.mask = F16::load(mask);
  }
  if (run.block_width == 1 && count == 16) {
    return group;
  }
  group.logits = staging;
  group.pitch = 16;
  if (count == 16) {
    // `staging` holds whole blocks; what lies beyond the channels is not looked at.
    for (int64_t c = 0; c < run.channels; c += 16) {
      const float* block = run.logits + c / 16 * run.block_pitch + first * 16;
      // Two groups ahead: transposing leaves the processor's own prefetcher behind.
      for (int64_t i = 0; i < 16; ++i) __builtin_prefetch(block + (32 + i) * 16);
      transpose16(block, 16, staging + 16 * c, 16);
    }
    return group;
  }
  for (int64_t c = 0; c < run.channels; ++c) {
    const float* source = run.logits + (c / run.block_width) * run.block_pitch +
                          c % run.block_width + first * run.block_width;
    for (int64_t i = 0; i < 16; ++i) {
      staging[16 * c + i] = i < count ? source[i * run.block_width] : 0.0F;
    }
  }
  return group;
}

void add_to(float* lanes, F16 value) { (F16::load(lanes) + value).store(lanes); }

// sigmoid and its complement without cancellation: p = larger or smaller of 1/(1+e), e/(1+e).
struct Sigmoid {
  F16 e;         // exp(-|x|)
  F16 inverse;   // 1 / (1 + e)
  F16 positive;  // p
  F16 negative;  // 1 - p
};
F16 sigmoid_exponential(F16 x) { return exponential_up_to_88(min(x, F16::zero() - x)); }
Sigmoid sigmoid(F16 x, F16 e) {
  Sigmoid s;
  s.e = e;
  s.inverse = reciprocal(F16::set1(1.0F) + s.e);
  const F16 small = s.e * s.inverse;
  s.positive = select_greater(x, F16::zero(), s.inverse, small);
  s.negative = select_greater(x, F16::zero(), small, s.inverse);
  return s;
}

// Voxels that are not to be ignored.
F16 not_ignored(const Group& group) {
  return select_equal(load_u8(group.target),
                      F16::set1(static_cast<float>(kSegmentationIgnoreTarget)), F16::zero(),
                      group.mask);
}

void sum_regions(const SegmentationSumsRun& sums, const Group& group) {
  const F16 zero = F16::zero();
  const F16 mask = not_ignored(group);
  for (int64_t c = 0; c < sums.run.channels; ++c) {
    float* rows = sums.partial + 16 * c * SegmentationPartialRow::kNumRows;
    const F16 x = F16::load(group.logits + c * group.pitch);
    const F16 t = load_bit(group.target, static_cast<int>(c)) * mask;
    const Sigmoid s = sigmoid(x, sigmoid_exponential(x));
    const F16 hard = select_greater(x, zero, mask, zero);
    add_to(rows + 16 * SegmentationPartialRow::intersection, s.positive * t);
    add_to(rows + 16 * SegmentationPartialRow::predicted, s.positive * mask);
    add_to(rows + 16 * SegmentationPartialRow::truth, t);
    add_to(rows + 16 * SegmentationPartialRow::hard_intersection, hard * t);
    add_to(rows + 16 * SegmentationPartialRow::hard_predicted, hard);
    if (sums.entropy) {
      // -t log p - (1 - t) log(1 - p) = max(x, 0) - x t + log(1 + exp(-|x|))
      const F16 entropy = (max(x, zero) - x * t) + log_one_plus(s.e);
      add_to(rows + 16 * SegmentationPartialRow::entropy, entropy * mask);
    }
  }
  add_to(sums.partial + 16 * sums.run.channels * SegmentationPartialRow::kNumRows, mask);
}

// Up to sixteen full groups side by side (plain logits), with the sums as in sum_regions(). The
// steps are loops of their own: a group is one long chain of dependent operations, and the
// processor overlaps several groups only where each is short. kAllCount: no voxel is ignored.
template <bool kAllCount>
void sum_region_groups(const SegmentationSumsRun& sums, int64_t first, int64_t groups) {
  using Row = SegmentationPartialRow;
  const F16 zero = F16::zero();
  const F16 one = F16::set1(1.0F);
  const SegmentationRun& run = sums.run;
  const uint8_t* target = run.target + first;
  alignas(64) float exponentials[256];
  alignas(64) float truths[256];
  alignas(64) float masks[256];
  float* voxels = sums.partial + 16 * run.channels * Row::kNumRows;
  F16 count = F16::load(voxels);
  for (int64_t g = 0; g < groups; ++g) {
    const F16 mask = kAllCount ? one : not_ignored({nullptr, 0, target + 16 * g, one});
    if (!kAllCount) mask.store(masks + 16 * g);
    count = count + mask;
  }
  count.store(voxels);
  for (int64_t c = 0; c < run.channels; ++c) {
    const float* logits = run.logits + first + c * run.block_pitch;
#pragma GCC unroll 4
    for (int64_t g = 0; g < groups; ++g) {
      sigmoid_exponential(F16::load(logits + 16 * g)).store(exponentials + 16 * g);
    }
    float* rows = sums.partial + 16 * c * Row::kNumRows;
    F16 sum[Row::kNumRows];
    for (int64_t row = 0; row < Row::kNumRows; ++row) sum[row] = F16::load(rows + 16 * row);
    for (int64_t g = 0; g < groups; ++g) {
      const F16 mask = kAllCount ? one : F16::load(masks + 16 * g);
      const F16 x = F16::load(logits + 16 * g);
      const F16 bit = load_bit(target + 16 * g, static_cast<int>(c));
      const F16 t = kAllCount ? bit : bit * mask;
      t.store(truths + 16 * g);
      const Sigmoid s = sigmoid(x, F16::load(exponentials + 16 * g));
      const F16 hard = select_greater(x, zero, mask, zero);
      sum[Row::intersection] = fma(s.positive, t, sum[Row::intersection]);
      sum[Row::predicted] =
          kAllCount ? sum[Row::predicted] + s.positive : fma(s.positive, mask, sum[Row::predicted]);
      sum[Row::truth] = sum[Row::truth] + t;
      sum[Row::hard_intersection] = fma(hard, t, sum[Row::hard_intersection]);
      sum[Row::hard_predicted] = sum[Row::hard_predicted] + hard;
    }
    if (sums.entropy) {
#pragma GCC unroll 4
      for (int64_t g = 0; g < groups; ++g) {
        const F16 x = F16::load(logits + 16 * g);
        const F16 entropy = (max(x, zero) - x * F16::load(truths + 16 * g)) +
                            log_one_plus(F16::load(exponentials + 16 * g));
        sum[Row::entropy] = kAllCount ? sum[Row::entropy] + entropy
                                      : fma(entropy, F16::load(masks + 16 * g), sum[Row::entropy]);
      }
    }
    for (int64_t row = 0; row < Row::kNumRows; ++row) sum[row].store(rows + 16 * row);
  }
}

bool any_ignored(const uint8_t* target, int64_t count) {
  static_assert(kSegmentationIgnoreTarget == UINT8_MAX);
  uint8_t largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = target[i] > largest ? target[i] : largest;
  return largest == kSegmentationIgnoreTarget;
}

// Voxels whose target is one of the classes; at most 255 classes, so never an ignored voxel.
F16 labelled(const SegmentationRun& run, const Group& group, F16 target) {
  return select_greater(F16::set1(static_cast<float>(run.channels)), target, group.mask,
                        F16::zero());
}

struct Largest {
  F16 value;
  F16 first;  // index of the first largest logit
};
Largest largest_logit(const SegmentationRun& run, const Group& group) {
  Largest found{F16::load(group.logits), F16::zero()};
  for (int64_t c = 1; c < run.channels; ++c) {
    const F16 x = F16::load(group.logits + c * group.pitch);
    found.first = select_greater(x, found.value, F16::set1(static_cast<float>(c)), found.first);
    found.value = max(x, found.value);
  }
  return found;
}
// Leaves exp(x_c - largest) in exponentials[16 c].
void softmax_exponentials(const SegmentationRun& run, const float* logits, int64_t pitch,
                          F16 largest, float* exponentials) {
#pragma GCC unroll 4
  for (int64_t c = 0; c < run.channels; ++c) {
    exponential_up_to_88(F16::load(logits + c * pitch) - largest).store(exponentials + 16 * c);
  }
}
F16 softmax_total(const SegmentationRun& run, const float* exponentials) {
  F16 total = F16::load(exponentials);
  for (int64_t c = 1; c < run.channels; ++c) total = total + F16::load(exponentials + 16 * c);
  return total;
}

// The results go to out + c * pitch; each channel is read before it is written.
void gradient_regions(const SegmentationGradientRun& gradient, const Group& group, float* out,
                      int64_t pitch) {
  const F16 e = F16::set1(gradient.e);
  const F16 mask = not_ignored(group);
  for (int64_t c = 0; c < gradient.run.channels; ++c) {
    const F16 x = F16::load(group.logits + c * group.pitch);
    const F16 t = load_bit(group.target, static_cast<int>(c));
    const Sigmoid s = sigmoid(x, sigmoid_exponential(x));
    const F16 g = fma(F16::set1(gradient.a[c]), t, F16::set1(gradient.b[c]));
    const F16 difference =
        select_greater(t, F16::zero(), F16::zero() - s.negative, s.positive);  // p - t
    (fma(g, s.positive * s.negative, e * difference) * mask).store(out + c * pitch);
  }
}

void gradient_classes(const SegmentationGradientRun& gradient, const Group& group,
                      float* exponentials, float* out, int64_t pitch) {
  const F16 zero = F16::zero();
  const F16 one = F16::set1(1.0F);
  const F16 target = load_u8(group.target);
  const F16 mask = labelled(gradient.run, group, target);
  softmax_exponentials(gradient.run, group.logits, group.pitch,
                       largest_logit(gradient.run, group).value, exponentials);
  const F16 inverse = reciprocal(softmax_total(gradient.run, exponentials));
  const auto slope_of = [&](int64_t c) {
    const F16 t = select_equal(target, F16::set1(static_cast<float>(c)), one, zero);
    return fma(F16::set1(gradient.a[c]), t, F16::set1(gradient.b[c]));
  };
  F16 mean = zero;
  for (int64_t c = 0; c < gradient.run.channels; ++c) {
    mean = fma(F16::load(exponentials + 16 * c) * inverse, slope_of(c), mean);
  }
  const F16 e = F16::set1(gradient.e);
  for (int64_t c = 0; c < gradient.run.channels; ++c) {
    const F16 p = F16::load(exponentials + 16 * c) * inverse;
    const F16 t = select_equal(target, F16::set1(static_cast<float>(c)), one, zero);
    const F16 q = F16::set1(gradient.run.truth_scale) * t + F16::set1(gradient.run.truth_floor);
    const F16 dx = fma(p, slope_of(c) - mean, e * (p - q));
    (dx * mask).store(out + c * pitch);
  }
}

// Copies the gradients of `count` voxels from `staging` to where they belong; padding lanes of the
// last channel block become zero.
void scatter(const SegmentationGradientRun& gradient, int64_t first, int64_t count,
             const float* staging) {
  const int64_t width = gradient.run.block_width;
  for (int64_t begin = 0; begin < gradient.run.channels; begin += width) {
    float* target = gradient.out + (begin / width) * gradient.out_block_pitch + first * width;
    if (width == 16 && count == 16 && begin + 16 <= gradient.run.channels) {
      transpose16(staging + 16 * begin, 16, target, 16);
      continue;
    }
    if (width == 16 && count == 16) {
      alignas(64) float last[256] = {};
      memcpy(last, staging + 16 * begin,
             static_cast<size_t>(gradient.run.channels - begin) * 16 * sizeof(float));
      transpose16(last, 16, target, 16);
      continue;
    }
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t lane = 0; lane < width; ++lane) {
        const int64_t c = begin + lane;
        target[i * width + lane] = c < gradient.run.channels ? staging[16 * c + i] : 0.0F;
      }
    }
  }
}

}  // namespace

void segmentation_sums_run(const SegmentationSumsRun& sums) {
  const SegmentationRun& run = sums.run;
  int64_t first = 0;
  if (run.classes) {
    segmentation_class_sums_run(sums);
    return;
  }
  if (run.block_width == 1) {
    while (run.num_voxels - first >= 16) {
      const int64_t full = (run.num_voxels - first) / 16;
      const int64_t groups = full < 16 ? full : 16;
      if (any_ignored(run.target + first, 16 * groups)) {
        sum_region_groups<false>(sums, first, groups);
      } else {
        sum_region_groups<true>(sums, first, groups);
      }
      first += 16 * groups;
    }
  }
  uint8_t target_staging[16];
  for (; first < run.num_voxels; first += 16) {
    const int64_t left = run.num_voxels - first;
    sum_regions(sums, make_group(run, first, left < 16 ? left : 16, run.work, target_staging));
  }
}

void segmentation_gradient_run(const SegmentationGradientRun& gradient) {
  const SegmentationRun& run = gradient.run;
  float* exponentials = run.work + 16 * segmentation_padded_channels(run.channels);
  uint8_t target_staging[16];
  for (int64_t first = 0; first < run.num_voxels; first += 16) {
    const int64_t left = run.num_voxels - first;
    const int64_t count = left < 16 ? left : 16;
    const Group group = make_group(run, first, count, run.work, target_staging);
    // A group that was staged is answered in the same place.
    const bool is_staged = group.logits == run.work;
    float* out = is_staged ? run.work : gradient.out + first;
    const int64_t pitch = is_staged ? 16 : gradient.out_block_pitch;
    if (run.classes) {
      gradient_classes(gradient, group, exponentials, out, pitch);
    } else {
      gradient_regions(gradient, group, out, pitch);
    }
    if (is_staged) {
      scatter(gradient, first, count, run.work);
    }
  }
}

}  // namespace wholemount::WM_ISA
