#include "wholemount/base/simd/f16_mask.h"
#include "wholemount/base/simd/f16_math.h"
#include "wholemount/base/simd/transpose16.h"
#include "wholemount/ops/loss/segmentation_lanes.h"

namespace wholemount::WM_ISA {

namespace {

using Row = SegmentationPartialRow;

// Groups of sixteen voxels, channel by channel: channel c of group g at logits + c * pitch + 16 g.
struct Pack {
  const float* logits;
  int64_t pitch;
  const uint8_t* target;
  int64_t groups;
  const float* next;  // blocked logits that the next pack turns round, or null
};

// Eight numbers of each voxel behind logits and exponentials; [groups][16] each.
struct Lanes {
  float* target;
  float* largest;
  float* choice;     // the first class of the largest logit; none where the voxel does not count
  float* mask;       // whether it does
  float* weight;     // 1, and kRight more where the choice is right
  float* total;      // of the exponentials
  float* inverse;    // of the total; 0 where the voxel does not count
  float* log_total;  // only for the entropy
};

// More than the voxels of a lane of a pack: right choices are counted in the same sum as all.
constexpr float kRight = 1024.0F;

struct Work {
  float* below;  // the logits, then less the largest
  float* exponentials;
  int64_t pitch;  // from one channel to the next
  Lanes lanes;
};

Work work_of(const SegmentationRun& run) {
  const int64_t pitch = 16 * segmentation_sums_groups(run.channels, run.block_width);
  const int64_t channels = segmentation_sums_channels(run.channels, run.block_width);
  float* exponentials = run.work + channels * pitch;
  float* lanes = exponentials + channels * pitch;
  return {run.work,
          exponentials,
          pitch,
          {lanes, lanes + pitch, lanes + 2 * pitch, lanes + 3 * pitch, lanes + 4 * pitch,
           lanes + 5 * pitch, lanes + 6 * pitch, lanes + 7 * pitch}};
}

void add_to(float* lanes, F16 value) { (F16::load(lanes) + value).store(lanes); }

// The steps are loops of their own: a group is one long chain of dependent operations, and the
// processor overlaps several groups only where each is short.

// Groups i, i + 16, ... N of them side by side; returns how many voxels count, by lanes.
template <int N>
F16 find_largest_of(const SegmentationRun& run, const Pack& pack, const Lanes& lanes, int64_t i) {
  const F16 one = F16::set1(1.0F);
  const float* logits = pack.logits + i;
  const int64_t pitch = pack.pitch;
  const int64_t channels = run.channels;
  F16 largest[N];
  F16 first[N];
  for (int g = 0; g < N; ++g) {
    largest[g] = F16::load(logits + 16 * g);
    first[g] = F16::zero();
  }
  F16 index = one;
  for (int64_t c = 1; c < channels; ++c, index = index + one) {
    logits += pitch;
    for (int g = 0; g < N; ++g) {
      const F16 x = F16::load(logits + 16 * g);
      first[g] = select_greater(x, largest[g], index, first[g]);
      largest[g] = max(x, largest[g]);
    }
  }
  F16 count = F16::zero();
  for (int g = 0; g < N; ++g) {
    // At most 255 classes, so never an ignored voxel.
    const F16 target = load_u8(pack.target + i + 16 * g);
    const F16 mask = select_greater(index, target, one, F16::zero());
    const F16 choice = select_greater(index, target, first[g], F16::set1(-1.0F));
    count = count + mask;
    mask.store(lanes.mask + i + 16 * g);
    target.store(lanes.target + i + 16 * g);
    largest[g].store(lanes.largest + i + 16 * g);
    choice.store(lanes.choice + i + 16 * g);
    select_equal(choice, target, F16::set1(1.0F + kRight), one).store(lanes.weight + i + 16 * g);
  }
  return count;
}

// Calls step.operator()<N>(i) for all groups, N of them side by side.
template <class Step>
void for_groups(int64_t groups, Step step) {
  constexpr int kTogether = kChains;
  int64_t g = 0;
  for (; g + kTogether <= groups; g += kTogether) step.template operator()<kTogether>(16 * g);
  for (; g < groups; ++g) step.template operator()<1>(16 * g);
}

void find_largest(const SegmentationSumsRun& sums, const Pack& pack, const Lanes& lanes) {
  float* voxels = sums.partial + 16 * sums.run.channels * Row::kNumRows;
  F16 count = F16::load(voxels);
  for_groups(pack.groups, [&]<int N>(int64_t i) {
    count = count + find_largest_of<N>(sums.run, pack, lanes, i);
  });
  count.store(voxels);
}

template <bool kIsFirst>
void exponentials_of(const float* logits, const float* largest, int64_t groups, float* below,
                     float* out, float* total) {
  for_groups(groups, [&]<int N>(int64_t i) {
    F16 x[N];
    for (int g = 0; g < N; ++g) {
      x[g] = F16::load(logits + i + 16 * g) - F16::load(largest + i + 16 * g);
      x[g].store(below + i + 16 * g);
    }
    exponentials_up_to_88(x);
    for (int g = 0; g < N; ++g) {
      x[g].store(out + i + 16 * g);
      (kIsFirst ? x[g] : F16::load(total + i + 16 * g) + x[g]).store(total + i + 16 * g);
    }
  });
}

// Asks for what the next pack turns round, of channel c of groups [begin, end): a little at a time,
// so that memory works all the while.
void ask_for_next(const SegmentationRun& run, const Pack& pack, int64_t c, int64_t begin,
                  int64_t end) {
  if (pack.next == nullptr) return;
  // A cache line is a voxel of a block of channels.
  const float* next = pack.next + c / 16 * run.block_pitch + c % 16 * 16;
  for (int64_t g = begin; g < end; ++g) __builtin_prefetch(next + 256 * g, 0, 2);
}

void exponentials(const SegmentationRun& run, const Pack& pack, const Work& work) {
  for (int64_t c = 0; c < run.channels; ++c) {
    ask_for_next(run, pack, c, 0, pack.groups / 2);
    (c == 0 ? exponentials_of<true>
            : exponentials_of<false>)(pack.logits + c * pack.pitch, work.lanes.largest, pack.groups,
                                      work.below + c * work.pitch,
                                      work.exponentials + c * work.pitch, work.lanes.total);
  }
}

template <bool kEntropy>
void use_totals(const Pack& pack, const Lanes& all) {
  const Lanes lanes = all;
  for_groups(pack.groups, [&]<int N>(int64_t i) {
    F16 total[N];
    for (int g = 0; g < N; ++g) {
      total[g] = F16::load(lanes.total + i + 16 * g);
      const F16 mask = F16::load(lanes.mask + i + 16 * g);
      (reciprocal(total[g]) * mask).store(lanes.inverse + i + 16 * g);
    }
    if (!kEntropy) return;
    logarithms(total);
    for (int g = 0; g < N; ++g) total[g].store(lanes.log_total + i + 16 * g);
  });
}

// The first classes that are the truth of some voxel, a bit each.
constexpr int64_t kClassBits = 32;
uint32_t classes_present(const uint8_t* target, int64_t count) {
  uint32_t present = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t bit = uint32_t{1} << (target[i] % kClassBits);
    present |= target[i] < kClassBits ? bit : 0;
  }
  return present;
}

enum class Entropy { none, plain, smoothed };

// Adds all groups to the sums of class c, which stay in registers. kIsTruth: false if no voxel of
// the pack is of this class, as most classes are in most places.
template <Entropy kEntropy, bool kIsTruth>
void add_class(const SegmentationSumsRun& sums, const Pack& pack, const Work& work, int64_t c) {
  const F16 one = F16::set1(1.0F);
  const F16 scale = F16::set1(sums.run.truth_scale);
  const F16 floor = F16::set1(sums.run.truth_floor);
  const F16 index = F16::set1(static_cast<float>(c));
  const Lanes lanes = work.lanes;
  const int64_t end = 16 * pack.groups;
  const float* exponentials = work.exponentials + c * work.pitch;
  const float* below = work.below + c * work.pitch;
  float* rows = sums.partial + 16 * c * Row::kNumRows;
  F16 intersection = F16::load(rows + 16 * Row::intersection);
  F16 predicted = F16::load(rows + 16 * Row::predicted);
  F16 truth = F16::load(rows + 16 * Row::truth);
  F16 entropy = F16::load(rows + 16 * Row::entropy);
  F16 chosen = F16::zero();
#pragma GCC unroll 4
  for (int64_t i = 0; i < end; i += 16) {
    const F16 e = F16::load(exponentials + i);
    const F16 inverse = F16::load(lanes.inverse + i);
    predicted = fma(e, inverse, predicted);
    const Mask16 is_chosen = is_equal(F16::load(lanes.choice + i), index);
    chosen = add_where(is_chosen, chosen, F16::load(lanes.weight + i));
    Mask16 is_true{};
    if (kIsTruth) {
      is_true = is_equal(F16::load(lanes.target + i), index);
      intersection = fma_where(is_true, e, inverse, intersection);
      truth = add_where(is_true, truth, one);
    }
    if (kEntropy == Entropy::smoothed || (kEntropy == Entropy::plain && kIsTruth)) {
      const F16 minus_log_p = F16::load(lanes.log_total + i) - F16::load(below + i);
      if (kEntropy == Entropy::plain) {
        entropy = add_where(is_true, entropy, minus_log_p);
      } else {
        const F16 share = floor * F16::load(lanes.mask + i);
        const F16 q = kIsTruth ? add_where(is_true, share, scale) : share;
        entropy = fma(minus_log_p, q, entropy);
      }
    }
  }
  intersection.store(rows + 16 * Row::intersection);
  predicted.store(rows + 16 * Row::predicted);
  truth.store(rows + 16 * Row::truth);
  entropy.store(rows + 16 * Row::entropy);
  const F16 right = fma(chosen, F16::set1(1.0F / kRight), F16::set1(kRoundToInteger)) -
                    F16::set1(kRoundToInteger);
  add_to(rows + 16 * Row::hard_intersection, right);
  add_to(rows + 16 * Row::hard_predicted, fma(right, F16::set1(-kRight), chosen));
}

template <Entropy kEntropy>
void sum_pack(const SegmentationSumsRun& sums, const Pack& pack, const Work& work) {
  find_largest(sums, pack, work.lanes);
  exponentials(sums.run, pack, work);
  use_totals<kEntropy != Entropy::none>(pack, work.lanes);
  const uint32_t present = classes_present(pack.target, 16 * pack.groups);
  for (int64_t c = 0; c < sums.run.channels; ++c) {
    ask_for_next(sums.run, pack, c, pack.groups / 2, pack.groups);
    if (c >= kClassBits || (present >> c & 1) != 0) {
      add_class<kEntropy, true>(sums, pack, work, c);
    } else {
      add_class<kEntropy, false>(sums, pack, work, c);
    }
  }
}

// Full groups of blocked logits, sixteen channels of a voxel side by side, turned round.
void turn_groups(const SegmentationRun& run, int64_t first, int64_t groups, const Work& work) {
  for (int64_t c = 0; c < run.channels; c += 16) {
    const float* block = run.logits + c / 16 * run.block_pitch + first * 16;
    for (int64_t g = 0; g < groups; ++g) {
      transpose16(block + 256 * g, 16, work.below + c * work.pitch + 16 * g, work.pitch);
    }
  }
}

// The voxels behind the last full group, and voxels that do not count.
void stage_rest(const SegmentationRun& run, int64_t first, const Work& work, uint8_t* target) {
  for (int64_t i = 0; i < 16; ++i) {
    const bool exists = first + i < run.num_voxels;
    target[i] = exists ? run.target[first + i] : kSegmentationIgnoreTarget;
    for (int64_t c = 0; c < run.channels; ++c) {
      const float* source = run.logits + (c / run.block_width) * run.block_pitch +
                            (first + i) * run.block_width + c % run.block_width;
      work.below[c * work.pitch + i] = exists ? *source : 0.0F;
    }
  }
}

template <Entropy kEntropy>
void sum_all(const SegmentationSumsRun& sums) {
  const SegmentationRun& run = sums.run;
  const Work work = work_of(run);
  const int64_t most = segmentation_sums_groups(run.channels, run.block_width);
  const bool is_plain = run.block_width == 1;
  int64_t first = 0;
  for (int64_t left = run.num_voxels / 16; left > 0;) {
    const int64_t groups = left < most ? left : most;
    Pack pack{run.logits + first, run.block_pitch, run.target + first, groups, nullptr};
    if (!is_plain) {
      turn_groups(run, first, groups, work);
      pack.next = run.logits + (first + 16 * groups) * 16;
      pack.logits = work.below;
      pack.pitch = work.pitch;
    }
    sum_pack<kEntropy>(sums, pack, work);
    first += 16 * groups;
    left -= groups;
  }
  if (first < run.num_voxels) {
    uint8_t target[16];
    stage_rest(run, first, work, target);
    sum_pack<kEntropy>(sums, {work.below, work.pitch, target, 1, nullptr}, work);
  }
}

}  // namespace

void segmentation_class_sums_run(const SegmentationSumsRun& sums) {
  if (!sums.entropy) {
    sum_all<Entropy::none>(sums);
  } else if (sums.run.truth_floor == 0.0F && sums.run.truth_scale == 1.0F) {
    sum_all<Entropy::plain>(sums);
  } else {
    sum_all<Entropy::smoothed>(sums);
  }
}

}  // namespace wholemount::WM_ISA
