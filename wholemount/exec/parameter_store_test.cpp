#include "wholemount/exec/parameter_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "wholemount/base/error.h"
#include "wholemount/base/sha256.h"

namespace wholemount {
namespace {

ParameterSpec spec(const std::string& name, int64_t n, int64_t c, Initializer initializer,
                   ParameterRole role = ParameterRole::weight) {
  ParameterSpec result;
  result.name = name;
  result.desc = TensorDesc::plain(n, c, {1, 1, 1});
  result.role = role;
  result.initializer = initializer;
  result.fan_in = c;
  result.fan_out = n;
  return result;
}

std::vector<ParameterSpec> sample_specs() {
  return {spec("b.weight", 300, 101, Initializer::he_uniform),
          spec("a.bias", 1, 5, Initializer::zeros, ParameterRole::bias),
          spec("c.scale", 1, 17, Initializer::ones, ParameterRole::norm_scale),
          spec("c.mean", 1, 17, Initializer::zeros, ParameterRole::moving_statistic)};
}

std::span<const float> elements(const ParameterStore& store, const std::string& name) {
  const ParameterRange range = store.whole(store.find(name).value());
  return store.values().subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.count));
}

// Values that make sums depend on their order.
void fill_gradients(const ParameterStore& store, int32_t slot, uint32_t seed) {
  uint32_t state = seed;
  for (float& value : store.gradients(slot)) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(static_cast<int32_t>(state)) * 1e-9F;
  }
}

TEST(ParameterStore, every_parameter_starts_at_a_cache_line) {
  const ParameterStore store(sample_specs(), {2, 1});
  for (int32_t p = 0; p < 4; ++p) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(store.value(p).origin) % 64, 0U);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(store.gradient(p, 0).origin) % 64, 0U);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(store.gradient(p, 1).origin) % 64, 0U);
  }
  EXPECT_EQ(store.gradient(1, 1).desc, sample_specs()[1].desc);
}

TEST(ParameterStore, planned_bytes_equal_the_blocks) {
  const auto specs = sample_specs();
  const ParameterBytes bytes = ParameterStore::bytes(specs, {3, 2});
  // 30300 elements -> 30304, 5 -> 16, 17 -> 32 twice.
  const size_t block = (30304 + 16 + 32 + 32) * sizeof(float);
  EXPECT_EQ(bytes.values, block);
  EXPECT_EQ(bytes.gradients, 3 * block);
  EXPECT_EQ(bytes.optimiser_state, 2 * block);
  EXPECT_EQ(bytes.total(), 6 * block);
  EXPECT_EQ(ParameterStore(specs, {3, 2}).values().size_bytes(), block);
}

TEST(ParameterStore, counts_include_moving_statistics_only_in_the_total) {
  const auto specs = sample_specs();
  const ParameterCounts counts = ParameterStore::counts(specs);
  EXPECT_EQ(counts.total, 30300 + 5 + 17 + 17);
  EXPECT_EQ(counts.trainable, 30300 + 5 + 17);
}

TEST(ParameterStore, inference_store_owns_values_only) {
  const ParameterStore store(sample_specs(), {0, 0});
  EXPECT_EQ(ParameterStore::bytes(store.specs(), store.blocks()).gradients, 0U);
  EXPECT_THROW((void)store.gradients(0), InternalError);
}

TEST(ParameterStore, ranges_cover_every_element_once) {
  const ParameterStore store(sample_specs(), {1, 0});
  std::vector<int> touched(store.values().size(), 0);
  for (const ParameterRange& range : store.ranges()) {
    EXPECT_LE(range.count, ParameterStore::kRangeElements);
    for (int64_t i = 0; i < range.count; ++i) {
      ++touched[static_cast<size_t>(range.begin + i)];
    }
  }
  EXPECT_EQ(std::count(touched.begin(), touched.end(), 1), 30339);
  EXPECT_EQ(std::count(touched.begin(), touched.end(), 0),
            static_cast<int64_t>(touched.size()) - 30339);
}

TEST(ParameterStore, initial_values_do_not_depend_on_order_or_threads) {
  ThreadPool one(1);
  ThreadPool three(3);
  auto specs = sample_specs();
  ParameterStore store(specs, {0, 0});
  store.initialise(7, one);
  std::reverse(specs.begin(), specs.end());
  ParameterStore reversed(specs, {0, 0});
  reversed.initialise(7, three);
  EXPECT_EQ(store.digest(), reversed.digest());
  reversed.initialise(8, three);
  EXPECT_NE(store.digest(), reversed.digest());
}

TEST(ParameterStore, he_uniform_fills_its_interval_evenly) {
  ThreadPool pool(1);
  ParameterStore store(sample_specs(), {0, 0});
  store.initialise(1, pool);
  const double limit = std::sqrt(6.0 / 101.0);
  double sum = 0;
  double squares = 0;
  for (const float x : elements(store, "b.weight")) {
    ASSERT_LE(std::abs(x), limit * (1 + 1e-7));
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  const double count = 30300;
  // Five standard errors: of the mean limit/sqrt(3 n); of the mean square about 0.9
  // limit^2/3/sqrt(n).
  EXPECT_NEAR(sum / count, 0.0, 5 * limit / std::sqrt(3 * count));
  EXPECT_NEAR(squares / count, limit * limit / 3, 5 * 0.9 * limit * limit / 3 / std::sqrt(count));
}

TEST(ParameterStore, he_normal_and_glorot_have_their_deviation) {
  ThreadPool pool(1);
  ParameterStore store({spec("n", 200, 100, Initializer::he_normal),
                        spec("g", 200, 100, Initializer::glorot_uniform)},
                       {0, 0});
  store.initialise(1, pool);
  const auto mean_square = [&](const std::string& name) {
    double squares = 0;
    for (const float x : elements(store, name)) {
      squares += static_cast<double>(x) * x;
    }
    return squares / 20000;
  };
  // Relative standard error of a mean square of 20,000 draws is below sqrt(2 / 20000) = 1 %.
  EXPECT_NEAR(mean_square("n"), 2.0 / 100, 0.05 * 2.0 / 100);
  EXPECT_NEAR(mean_square("g"), 2.0 / 300, 0.05 * 2.0 / 300);
  const double cut = 2.0 * std::sqrt(2.0 / 100) / 0.8796;
  for (const float x : elements(store, "n")) {
    ASSERT_LT(std::abs(x), cut);
  }
}

TEST(ParameterStore, digest_is_of_the_elements_in_name_order) {
  ParameterStore store({spec("b", 1, 2, Initializer::zeros), spec("a", 1, 1, Initializer::zeros)},
                       {0, 0});
  *store.value(0).at<float>(0, 0) = 1.0F;
  *store.value(0).at<float>(0, 1) = 2.0F;
  *store.value(1).at<float>(0, 0) = 3.0F;
  const float in_order[] = {3.0F, 1.0F, 2.0F};
  Sha256 hash;
  hash.update(in_order, sizeof(in_order));
  EXPECT_EQ(store.digest(), hash.finish_hex());
}

TEST(ParameterStore, merge_adds_one_parameter_and_no_other) {
  ThreadPool pool(2);
  ParameterStore store(sample_specs(), {2, 0});
  fill_gradients(store, 0, 1);
  fill_gradients(store, 1, 2);
  const std::vector<float> before(store.gradients(0).begin(), store.gradients(0).end());
  store.merge(0, 0, 1, pool);
  const ParameterRange range = store.whole(0);
  for (size_t i = 0; i < before.size(); ++i) {
    const bool inside = static_cast<int64_t>(i) < range.begin + range.count;
    ASSERT_EQ(store.gradients(0)[i], inside ? before[i] + store.gradients(1)[i] : before[i]) << i;
  }
}

/// Beside a summed parameter, so that places in a block and in a later slot differ.
std::vector<ParameterSpec> dense_specs(int64_t rows, int64_t columns, bool factored) {
  std::vector<ParameterSpec> specs{spec("dense.weight", rows, columns, Initializer::zeros),
                                   spec("dense.bias", 1, rows, Initializer::zeros)};
  specs[0].factored = factored;
  return specs;
}

struct OuterProducts {
  std::vector<float> gradient;
  std::vector<float> bias;
};

/// Gradients of a batch whose factors depend on the sample alone, sample by sample into the slots,
/// or from the factors of all.
OuterProducts sum_of_batch(int64_t rows, int64_t columns, const GradientFold& fold, bool factored,
                           ThreadPool& pool) {
  ParameterStore store(dense_specs(rows, columns, factored),
                       {fold.num_slots(), 0, factored ? fold.batch() : 0});
  const auto factor = [](int64_t sample, int64_t i) {
    return static_cast<float>((sample * 7919 + i * 104729) % 2003 - 1001) * 1.1e-3F;
  };
  for (int64_t s = 0; s < fold.batch(); ++s) {
    const GradientFold::Sample& entry = fold.sample(s);
    const auto add = [&](int32_t parameter, int64_t i, float value) {
      float& sum = store.gradient(parameter, entry.slot).at<float>(0, 0)[i];
      sum = entry.accumulate ? sum + value : value;
    };
    for (int64_t r = 0; r < rows; ++r) add(1, r, factor(s, r));
    if (factored) {
      auto* const factors = store.factors(0, s).at<float>(0, 0);
      for (int64_t i = 0; i < rows + columns; ++i) factors[i] = factor(s, i);
    } else {
      for (int64_t i = 0; i < rows * columns; ++i) {
        add(0, i, factor(s, i / columns) * factor(s, rows + i % columns));
      }
    }
    for (const GradientFold::Merge& merge : entry.merges) {
      if (!factored) store.merge(0, merge.destination, merge.source, pool);
      store.merge(1, merge.destination, merge.source, pool);
    }
  }
  store.sum_outer_products(fold, pool);
  const auto* weights = store.gradient(0, 0).at<const float>(0, 0);
  const auto* bias = store.gradient(1, 0).at<const float>(0, 0);
  return {{weights, weights + rows * columns}, {bias, bias + rows}};
}

TEST(ParameterStore, outer_products_have_the_bits_of_adding_sample_by_sample) {
  ThreadPool one(1);
  ThreadPool three(3);
  for (const auto& [batch, groups] :
       {std::pair<int64_t, int64_t>{1, 8}, {6, 1}, {6, 5}, {7, 7}, {33, 8}}) {
    const GradientFold fold(batch, groups);
    for (const auto& [rows, columns] :
         {std::pair<int64_t, int64_t>{3, 5}, {17, 64}, {2, 300}, {5, 431}}) {
      SCOPED_TRACE(std::to_string(batch) + " samples in " + std::to_string(groups) + " groups, " +
                   std::to_string(rows) + " x " + std::to_string(columns));
      const OuterProducts expected = sum_of_batch(rows, columns, fold, false, one);
      for (ThreadPool* pool : {&one, &three}) {
        const OuterProducts found = sum_of_batch(rows, columns, fold, true, *pool);
        EXPECT_EQ(found.gradient, expected.gradient);
        EXPECT_EQ(found.bias, expected.bias);
      }
    }
  }
}

TEST(ParameterStore, a_factored_parameter_takes_one_slot_and_the_factors_of_a_batch) {
  const auto bytes = [](bool factored, ParameterBlocks blocks) {
    return ParameterStore::bytes(dense_specs(64, 160, factored), blocks).gradients;
  };
  EXPECT_EQ(bytes(false, {4, 0, 10}), 4 * (64 * 160 + 64) * sizeof(float));
  EXPECT_EQ(bytes(true, {4, 0, 10}), (64 * 160 + 4 * 64 + 10 * (64 + 160)) * sizeof(float));
  EXPECT_EQ(bytes(true, {0, 0, 10}), 0U);
  const ParameterStore store(dense_specs(64, 160, true), {2, 0, 10});
  EXPECT_THROW((void)store.gradient(0, 1), InternalError);
  EXPECT_THROW((void)store.factors(0, 10), InternalError);
  EXPECT_THROW((void)store.factors(1, 0), InternalError);
}

TEST(ParameterStore, gradient_norm_leaves_out_moving_statistics_and_threads) {
  ThreadPool one(1);
  ThreadPool three(3);
  ParameterStore store(sample_specs(), {1, 0});
  fill_gradients(store, 0, 3);
  long double expected = 0;
  for (const ParameterRange& range : store.ranges()) {
    if (range.parameter == 3) {
      continue;
    }
    for (int64_t i = 0; i < range.count; ++i) {
      const long double x = store.gradients(0)[static_cast<size_t>(range.begin + i)];
      expected += x * x;
    }
  }
  const double norm = store.squared_gradient_norm(0, one);
  // 30,322 additions of positive numbers in double: relative error below 30322 * 2^-53.
  EXPECT_NEAR(norm, static_cast<double>(expected), static_cast<double>(expected) * 30322 * 0x1p-53);
  EXPECT_EQ(norm, store.squared_gradient_norm(0, three));
}

TEST(ParameterStore, two_parameters_of_one_name_are_refused) {
  EXPECT_THROW(
      ParameterStore({spec("a", 1, 1, Initializer::zeros), spec("a", 1, 1, Initializer::zeros)},
                     {0, 0}),
      InternalError);
}

}  // namespace
}  // namespace wholemount
