#include "wholemount/ops/bfloat16/bfloat16.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/base/error.h"
#include "wholemount/base/rng.h"

namespace wholemount {
namespace {

float from_bits(uint32_t bits) { return std::bit_cast<float>(bits); }
float as_float(uint16_t bfloat16) { return from_bits(static_cast<uint32_t>(bfloat16) << 16U); }

/// The instruction sets that this machine has.
std::vector<Isa> isas() {
  std::vector<Isa> result;
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (isa <= Target{}.isa) result.push_back(isa);
  }
  return result;
}

std::shared_ptr<const Kernel> prepared(const Op& op, const TensorDesc& from, const Target& target) {
  const std::vector<TensorDesc> inputs{from};
  const std::vector<TensorDesc> outputs = op.infer(inputs);
  return op.prepare({inputs, outputs, target});
}

void run_all(const Kernel& kernel, const TensorView& input, const TensorView& output) {
  const std::vector<InputView> inputs{{input, {}}};
  const std::vector<OutputView> outputs{{output, false}};
  KernelArgs args;
  args.inputs = inputs;
  args.outputs = outputs;
  for (int64_t task = 0; task < kernel.num_tasks(0); ++task) kernel.run(0, task, args);
}

template <class T>
TensorView view_of(const TensorDesc& desc, std::vector<T>& data) {
  return whole_view(desc, reinterpret_cast<std::byte*>(data.data()));
}

std::vector<uint16_t> rounded(std::vector<float> x, const TensorDesc& desc, Isa isa) {
  Target target;
  target.isa = isa;
  TensorDesc half = desc;
  half.dtype = DType::bf16;
  std::vector<uint16_t> y(x.size(), 0xdead);
  run_all(*prepared(*make_to_bfloat16(), desc, target), view_of(desc, x), view_of(half, y));
  return y;
}

std::vector<uint16_t> rounded(const std::vector<float>& x, Isa isa) {
  return rounded(x, TensorDesc::plain(1, 1, {1, 1, static_cast<int64_t>(x.size())}), isa);
}

TEST(Bfloat16, rounds_to_the_nearest_and_ties_to_even) {
  // The last kept bit has the place 2^-7 at 1: halves of it are ties.
  const std::vector<std::pair<float, float>> cases{
      {0.0F, 0.0F},
      {1.0F, 1.0F},
      {1.0F + 0x1p-8F, 1.0F},
      {1.0F + 3 * 0x1p-8F, 1.0F + 0x1p-6F},
      {1.0F + 0x1p-8F + 0x1p-23F, 1.0F + 0x1p-7F},
      {1.0F + 0x1p-8F - 0x1p-23F, 1.0F},
      {-1.0F - 0x1p-8F, -1.0F},
      {-1.0F - 3 * 0x1p-8F, -1.0F - 0x1p-6F},
      {0x1.fffffep0F, 2.0F},
      {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()},
      {-std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()},
      {std::numeric_limits<float>::max(), std::numeric_limits<float>::infinity()},
      {0x1.fep127F, 0x1.fep127F},  // the largest bfloat16
      {0x1p-133F, 0x1p-133F},      // the smallest
      {0x1p-134F, 0.0F},           // half of it: a tie
      {0x1.8p-134F, 0x1p-133F},
  };
  std::vector<float> x;
  for (const auto& [value, wanted] : cases) x.push_back(value);
  for (const Isa isa : isas()) {
    const std::vector<uint16_t> y = rounded(x, isa);
    for (size_t i = 0; i < cases.size(); ++i) {
      EXPECT_EQ(as_float(y[i]), cases[i].second) << cases[i].first << " on " << isa_name(isa);
    }
    EXPECT_TRUE(std::signbit(as_float(rounded({-0.0F}, isa).front())));
  }
}

TEST(Bfloat16, no_nan_becomes_a_number) {
  std::vector<float> x;
  for (const uint32_t bits :
       {0x7f800001U, 0x7fc00000U, 0x7fffffffU, 0xff800001U, 0xffffffffU, 0x7f80ffffU}) {
    x.push_back(from_bits(bits));
  }
  for (const Isa isa : isas()) {
    for (const uint16_t y : rounded(x, isa)) {
      EXPECT_TRUE(std::isnan(as_float(y))) << y << " on " << isa_name(isa);
    }
  }
}

TEST(Bfloat16, every_number_comes_back_from_its_expansion) {
  std::vector<uint16_t> all;
  for (uint32_t bits = 0; bits < 0x10000U; ++bits) {
    if (!std::isnan(as_float(static_cast<uint16_t>(bits)))) {
      all.push_back(static_cast<uint16_t>(bits));
    }
  }
  const TensorDesc full = TensorDesc::plain(1, 1, {1, 1, static_cast<int64_t>(all.size())});
  TensorDesc half = full;
  half.dtype = DType::bf16;
  for (const Isa isa : isas()) {
    Target target;
    target.isa = isa;
    std::vector<float> expanded(all.size());
    run_all(*prepared(*make_from_bfloat16(), half, target), view_of(half, all),
            view_of(full, expanded));
    for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(expanded[i], as_float(all[i]));
    EXPECT_EQ(rounded(expanded, isa), all);
  }
}

TEST(Bfloat16, instruction_sets_agree_and_stay_within_half_a_place) {
  // Odd sizes: a part of a vector at the end of a row, a task's band that ends early.
  for (const TensorDesc& desc :
       {TensorDesc::plain(2, 3, {3, 5, 7}), TensorDesc::activation(2, 21, {5, 70, 67})}) {
    CounterRng rng(3, 0, 0, "bfloat16");
    std::vector<float> x(static_cast<size_t>(desc.storage_elements()));
    for (float& value : x) value = static_cast<float>(rng.next_normal() * 1e3);
    const std::vector<uint16_t> first = rounded(x, desc, Isa::portable);
    for (size_t i = 0; i < x.size(); ++i) {
      // Half of 2^-7 of the power of two below.
      ASSERT_LE(std::abs(as_float(first[i]) - x[i]), 0x1p-8F * std::abs(x[i]));
    }
    for (const Isa isa : isas()) EXPECT_EQ(rounded(x, desc, isa), first);
  }
}

TEST(Bfloat16, tasks_touch_their_boxes_only) {
  const TensorDesc full = TensorDesc::activation(1, 16, {6, 48, 40});
  TensorDesc half = full;
  half.dtype = DType::bf16;
  const auto kernel = prepared(*make_to_bfloat16(), full, {});
  ASSERT_GT(kernel->num_tasks(0), 1);
  std::vector<float> x(static_cast<size_t>(full.storage_elements()), 1.0F);
  std::vector<uint16_t> y(x.size(), 0);
  const std::vector<InputView> inputs{{view_of(full, x), {}}};
  const std::vector<OutputView> outputs{{view_of(half, y), false}};
  KernelArgs args;
  args.inputs = inputs;
  args.outputs = outputs;
  kernel->run(0, 0, args);
  const Box3 box = kernel->output_box(0, 0, 0);
  const Extent3 size = box.extent();
  const auto written =
      static_cast<size_t>(std::count_if(y.begin(), y.end(), [](uint16_t v) { return v != 0; }));
  EXPECT_EQ(written, static_cast<size_t>(volume(size) * 16));
}

TEST(Bfloat16, refuses_other_types) {
  const std::vector<TensorDesc> doubles{TensorDesc::plain(1, 1, {1, 1, 4}, DType::f64)};
  EXPECT_THROW(static_cast<void>(make_to_bfloat16()->infer(doubles)), ShapeError);
  EXPECT_THROW(static_cast<void>(make_from_bfloat16()->infer(doubles)), ShapeError);
}

}  // namespace
}  // namespace wholemount
