#include "wholemount/train/optimiser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace wholemount {
namespace {

ParameterSpec spec(const std::string& name, int64_t count, ParameterRole role) {
  ParameterSpec result;
  result.name = name;
  result.desc = TensorDesc::plain(1, count, {1, 1, 1});
  result.role = role;
  return result;
}

ParameterStore make_store(const OptimiserSpec& optimiser) {
  ParameterStore store(
      {spec("weight", 40000, ParameterRole::weight), spec("bias", 7, ParameterRole::bias),
       spec("scale", 7, ParameterRole::norm_scale),
       spec("mean", 7, ParameterRole::moving_statistic)},
      {1, num_optimiser_states(optimiser)});
  for (const ParameterRange& range : store.ranges()) {
    for (int64_t i = 0; i < range.count; ++i) {
      const auto index = static_cast<size_t>(range.begin + i);
      store.values()[index] = std::sin(static_cast<float>(index));
    }
  }
  return store;
}

float gradient_of(size_t index, int64_t update) {
  return 8.0F * std::cos(static_cast<float>(index) * 0.37F + static_cast<float>(update));
}

void set_gradients(const ParameterStore& store, int64_t update) {
  for (const ParameterRange& range : store.ranges()) {
    for (int64_t i = 0; i < range.count; ++i) {
      const auto index = static_cast<size_t>(range.begin + i);
      store.gradients(0)[index] = gradient_of(index, update);
    }
  }
}

// The formulas of the header in double, one element at a time.
struct Reference {
  double w = 0;
  double first = 0;
  double second = 0;
  void update(const OptimiserSpec& o, double rate, double g, double decay, int64_t t) {
    if (o.kind == OptimiserKind::sgd) {
      g += decay * w;
      first = o.momentum * first + g;
      w -= rate * (o.nesterov ? g + o.momentum * first : first);
      return;
    }
    if (o.kind == OptimiserKind::adamw) {
      w -= rate * decay * w;
    } else {
      g += decay * w;
    }
    first = o.beta1 * first + (1 - o.beta1) * g;
    second = o.beta2 * second + (1 - o.beta2) * g * g;
    const double tt = static_cast<double>(t);
    w -= rate / (1 - std::pow(o.beta1, tt)) * first /
         (std::sqrt(second / (1 - std::pow(o.beta2, tt))) + o.epsilon);
  }
};

OptimiserSpec optimiser_spec(OptimiserKind kind, double decay, double momentum = 0.9,
                             bool nesterov = false) {
  OptimiserSpec result;
  result.kind = kind;
  result.rate = 0.05;
  result.weight_decay = decay;
  result.momentum = momentum;
  result.nesterov = nesterov;
  return result;
}

std::vector<OptimiserSpec> all_optimisers() {
  return {optimiser_spec(OptimiserKind::sgd, 0.0, 0.0),
          optimiser_spec(OptimiserKind::sgd, 0.01, 0.0),
          optimiser_spec(OptimiserKind::sgd, 0.01, 0.9),
          optimiser_spec(OptimiserKind::sgd, 0.01, 0.9, true),
          optimiser_spec(OptimiserKind::adam, 0.0),
          optimiser_spec(OptimiserKind::adam, 0.01),
          optimiser_spec(OptimiserKind::adamw, 0.01)};
}

TEST(Optimiser, follows_the_double_reference_for_ten_updates) {
  ThreadPool pool(2);
  for (const OptimiserSpec& o : all_optimisers()) {
    ParameterStore store = make_store(o);
    std::vector<Reference> references(store.values().size());
    for (size_t i = 0; i < references.size(); ++i) {
      references[i].w = store.values()[i];
    }
    for (int64_t t = 1; t <= 10; ++t) {
      set_gradients(store, t);
      UpdateInput input;
      input.rate = o.rate;
      input.update = t;
      input.gradient_scale = 1.0 / 16;
      ASSERT_TRUE(update(store, o, input, pool).applied);
      for (const ParameterRange& range : store.ranges()) {
        const ParameterRole role = store.specs()[static_cast<size_t>(range.parameter)].role;
        for (int64_t i = 0; i < range.count; ++i) {
          const auto index = static_cast<size_t>(range.begin + i);
          if (role == ParameterRole::moving_statistic) {
            Reference& r = references[index];
            r.w = 0.99 * r.w + 0.01 * static_cast<double>(gradient_of(index, t));
          } else {
            references[index].update(o, o.rate, static_cast<double>(gradient_of(index, t)) / 16,
                                     role == ParameterRole::weight ? o.weight_decay : 0.0, t);
          }
        }
      }
    }
    // Values stay below 2 and steps below 0.3 per update; each of the 10 updates rounds fewer than
    // 10 times at magnitudes below 4, and the momenta amplify a rounding at most 10 times. Adam
    // divides by a root that may be small only where the moments are; there its steps are bounded.
    const double tolerance = 10 * 10 * 10 * 0x1p-24;
    for (const ParameterRange& range : store.ranges()) {
      for (int64_t i = 0; i < range.count; ++i) {
        const auto index = static_cast<size_t>(range.begin + i);
        ASSERT_NEAR(store.values()[index], references[index].w, tolerance)
            << "element " << index << " optimiser " << static_cast<int>(o.kind) << " decay "
            << o.weight_decay;
      }
    }
  }
}

TEST(Optimiser, first_adam_step_is_the_rate_whatever_the_gradient) {
  ThreadPool pool(1);
  const OptimiserSpec o = optimiser_spec(OptimiserKind::adam, 0.0);
  ParameterStore store({spec("w", 3, ParameterRole::weight)}, {1, 2});
  store.gradients(0)[0] = 100.0F;
  store.gradients(0)[1] = -0.01F;
  store.gradients(0)[2] = 0.0F;
  UpdateInput input;
  input.rate = 0.125;
  update(store, o, input, pool);
  // m / (1 - beta1) = g and v / (1 - beta2) = g^2 up to a few roundings.
  EXPECT_NEAR(store.values()[0], -0.125, 0.125 * 16 * 0x1p-24);
  EXPECT_NEAR(store.values()[1], 0.125, 0.125 * (1e-8 / 0.01 + 16 * 0x1p-24));
  EXPECT_EQ(store.values()[2], 0.0F);
}

TEST(Optimiser, momentum_sequence_is_exact_in_small_numbers) {
  ThreadPool pool(1);
  const OptimiserSpec o = optimiser_spec(OptimiserKind::sgd, 0.0, 0.5);
  OptimiserSpec nesterov = o;
  nesterov.nesterov = true;
  ParameterStore plain({spec("w", 1, ParameterRole::weight)}, {1, 1});
  ParameterStore ahead({spec("w", 1, ParameterRole::weight)}, {1, 1});
  plain.gradients(0)[0] = 1.0F;
  ahead.gradients(0)[0] = 1.0F;
  UpdateInput input;
  input.rate = 1.0;
  // v = 1, 1.5, 1.75; Nesterov steps 1 + v / 2.
  const float expected_plain[] = {-1.0F, -2.5F, -4.25F};
  const float expected_ahead[] = {-1.5F, -3.25F, -5.125F};
  for (size_t t = 0; t < 3; ++t) {
    input.update = static_cast<int64_t>(t) + 1;
    update(plain, o, input, pool);
    update(ahead, nesterov, input, pool);
    EXPECT_EQ(plain.values()[0], expected_plain[t]);
    EXPECT_EQ(ahead.values()[0], expected_ahead[t]);
  }
}

TEST(Optimiser, clipping_scales_the_whole_gradient_to_the_norm) {
  ThreadPool pool(1);
  const OptimiserSpec o = optimiser_spec(OptimiserKind::sgd, 0.0, 0.0);
  ParameterStore store({spec("a", 1, ParameterRole::weight), spec("b", 1, ParameterRole::bias)},
                       {1, 0});
  store.gradient(0, 0).at<float>(0, 0)[0] = 6.0F;
  store.gradient(1, 0).at<float>(0, 0)[0] = 8.0F;
  UpdateInput input;
  input.rate = 1.0;
  input.gradient_scale = 0.5;  // (3, 4): norm 5
  input.clip_norm = 2.5;
  EXPECT_EQ(update(store, o, input, pool).gradient_norm, 5.0);
  EXPECT_EQ(store.value(0).at<float>(0, 0)[0], -1.5F);
  EXPECT_EQ(store.value(1).at<float>(0, 0)[0], -2.0F);
  input.clip_norm = 5.0;
  update(store, o, input, pool);
  EXPECT_EQ(store.value(0).at<float>(0, 0)[0], -4.5F);
}

TEST(Optimiser, decay_touches_weights_only) {
  ThreadPool pool(1);
  for (const OptimiserKind kind : {OptimiserKind::sgd, OptimiserKind::adam, OptimiserKind::adamw}) {
    const OptimiserSpec o = optimiser_spec(kind, 0.1);
    ParameterStore store = make_store(o);
    const std::vector<float> before(store.values().begin(), store.values().end());
    UpdateInput input;
    input.observations = 0;
    update(store, o, input, pool);  // gradients are zero
    for (int32_t p = 1; p < 4; ++p) {
      const auto begin = static_cast<size_t>(store.whole(p).begin);
      for (size_t i = begin; i < begin + 7; ++i) {
        EXPECT_EQ(store.values()[i], before[i]) << store.specs()[static_cast<size_t>(p)].name;
      }
    }
    EXPECT_NE(store.values()[1], before[1]);
    EXPECT_LT(std::abs(store.values()[1]), std::abs(before[1]));
  }
}

TEST(Optimiser, moving_statistic_averages_what_was_observed) {
  ThreadPool pool(1);
  const OptimiserSpec o = optimiser_spec(OptimiserKind::adam, 0.0);
  ParameterStore store({spec("mean", 1, ParameterRole::moving_statistic)}, {1, 2});
  store.values()[0] = 4.0F;
  store.gradients(0)[0] = 32.0F;  // 4 programs, 8 each
  UpdateInput input;
  input.observations = 4;
  input.statistic_momentum = 0.75;
  input.gradient_scale = 1.0 / 16;
  const UpdateResult result = update(store, o, input, pool);
  EXPECT_EQ(store.values()[0], 0.75F * 4 + 0.25F * 8);
  EXPECT_EQ(result.gradient_norm, 0.0);
}

TEST(Optimiser, infinite_gradient_changes_nothing) {
  ThreadPool pool(1);
  const OptimiserSpec o = optimiser_spec(OptimiserKind::adam, 0.0);
  ParameterStore store = make_store(o);
  const std::string before = store.digest();
  set_gradients(store, 1);
  store.gradients(0)[5] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(update(store, o, {}, pool).applied);
  store.gradients(0)[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(update(store, o, {}, pool).applied);
  EXPECT_EQ(store.digest(), before);
}

TEST(Optimiser, bits_do_not_depend_on_threads) {
  ThreadPool one(1);
  ThreadPool three(3);
  for (const OptimiserSpec& o : all_optimisers()) {
    ParameterStore a = make_store(o);
    ParameterStore b = make_store(o);
    UpdateInput input;
    input.clip_norm = 0.5;
    for (int64_t t = 1; t <= 3; ++t) {
      input.update = t;
      set_gradients(a, t);
      set_gradients(b, t);
      update(a, o, input, one);
      update(b, o, input, three);
    }
    EXPECT_EQ(a.digest(), b.digest());
  }
}

TEST(Optimiser, needs_as_much_state_as_it_uses) {
  EXPECT_EQ(num_optimiser_states(optimiser_spec(OptimiserKind::sgd, 0.0, 0.0)), 0);
  EXPECT_EQ(num_optimiser_states(optimiser_spec(OptimiserKind::sgd, 0.0, 0.9)), 1);
  EXPECT_EQ(num_optimiser_states(optimiser_spec(OptimiserKind::adam, 0.0)), 2);
  EXPECT_EQ(num_optimiser_states(optimiser_spec(OptimiserKind::adamw, 0.0)), 2);
}

}  // namespace
}  // namespace wholemount
