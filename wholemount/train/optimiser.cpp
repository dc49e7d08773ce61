#include "wholemount/train/optimiser.h"

#include <algorithm>
#include <cmath>

#include "wholemount/base/error.h"

namespace wholemount {
namespace {

// Scalar factors of one update, rounded once.
struct Factors {
  float gradient = 1.0F;  // scale and clipping
  float decay = 0.0F;     // added to the gradient (sgd, adam)
  float shrink = 1.0F;    // multiplies the weight first (adamw)
  float rate = 0.0F;
  float momentum = 0.0F;
  float beta1 = 0.0F;
  float one_minus_beta1 = 0.0F;
  float beta2 = 0.0F;
  float one_minus_beta2 = 0.0F;
  float root_correction = 1.0F;  // 1 / sqrt(1 - beta2^t)
  float epsilon = 0.0F;
};

Factors factors_of(const OptimiserSpec& spec, const UpdateInput& input, double clipping) {
  Factors f;
  f.gradient = static_cast<float>(input.gradient_scale * clipping);
  f.momentum = static_cast<float>(spec.momentum);
  f.rate = static_cast<float>(input.rate);
  if (spec.kind == OptimiserKind::sgd) {
    return f;
  }
  const auto t = static_cast<double>(input.update);
  f.rate = static_cast<float>(input.rate / (1.0 - std::pow(spec.beta1, t)));
  f.root_correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(spec.beta2, t)));
  f.beta1 = static_cast<float>(spec.beta1);
  f.one_minus_beta1 = static_cast<float>(1.0 - spec.beta1);
  f.beta2 = static_cast<float>(spec.beta2);
  f.one_minus_beta2 = static_cast<float>(1.0 - spec.beta2);
  f.epsilon = static_cast<float>(spec.epsilon);
  return f;
}

void descend(float* __restrict w, const float* __restrict sum, int64_t count, const Factors& f) {
  const Factors k = f;
  for (int64_t i = 0; i < count; ++i) {
    w[i] -= k.rate * (k.gradient * sum[i] + k.decay * w[i]);
  }
}

void descend_with_momentum(float* __restrict w, const float* __restrict sum,
                           float* __restrict velocity, int64_t count, const Factors& f) {
  const Factors k = f;
  for (int64_t i = 0; i < count; ++i) {
    velocity[i] = k.momentum * velocity[i] + (k.gradient * sum[i] + k.decay * w[i]);
    w[i] -= k.rate * velocity[i];
  }
}

void descend_with_nesterov(float* __restrict w, const float* __restrict sum,
                           float* __restrict velocity, int64_t count, const Factors& f) {
  const Factors k = f;
  for (int64_t i = 0; i < count; ++i) {
    const float g = k.gradient * sum[i] + k.decay * w[i];
    velocity[i] = k.momentum * velocity[i] + g;
    w[i] -= k.rate * (g + k.momentum * velocity[i]);
  }
}

void adam(float* __restrict w, const float* __restrict sum, float* __restrict first,
          float* __restrict second, int64_t count, const Factors& f) {
  const Factors k = f;
  for (int64_t i = 0; i < count; ++i) {
    const float g = k.gradient * sum[i] + k.decay * w[i];
    first[i] = k.beta1 * first[i] + k.one_minus_beta1 * g;
    second[i] = k.beta2 * second[i] + k.one_minus_beta2 * (g * g);
    const float denominator = std::sqrt(second[i]) * k.root_correction + k.epsilon;
    w[i] = k.shrink * w[i] - k.rate * (first[i] / denominator);
  }
}

void average(float* __restrict value, const float* __restrict sum, int64_t count, float keep,
             float take) {
  for (int64_t i = 0; i < count; ++i) {
    value[i] = keep * value[i] + take * sum[i];
  }
}

}  // namespace

int32_t num_optimiser_states(const OptimiserSpec& spec) {
  if (spec.kind == OptimiserKind::sgd) {
    return spec.momentum == 0.0 ? 0 : 1;
  }
  return 2;
}

int64_t update_floats_per_element(const OptimiserSpec& spec) {
  // The gradient twice, the value and every state read and written.
  return 2 + 2 + 2 * int64_t{num_optimiser_states(spec)};
}

UpdateResult update(ParameterStore& store, const OptimiserSpec& spec, const UpdateInput& input,
                    ThreadPool& pool) {
  WM_CHECK(input.update >= 1, "updates are counted from 1");
  const int32_t num_states = num_optimiser_states(spec);
  WM_CHECK(store.blocks().optimiser_states >= num_states, "the store lacks optimiser state");

  UpdateResult result;
  result.gradient_norm =
      std::sqrt(store.squared_gradient_norm(input.slot, pool)) * std::abs(input.gradient_scale);
  if (!std::isfinite(result.gradient_norm)) {
    result.applied = false;
    return result;
  }
  const bool clipped = input.clip_norm && result.gradient_norm > *input.clip_norm;
  const Factors without_decay =
      factors_of(spec, input, clipped ? *input.clip_norm / result.gradient_norm : 1.0);
  Factors with_decay = without_decay;
  if (spec.kind == OptimiserKind::adamw) {
    with_decay.shrink = static_cast<float>(1.0 - input.rate * spec.weight_decay);
  } else {
    with_decay.decay = static_cast<float>(spec.weight_decay);
  }
  const auto keep = static_cast<float>(input.statistic_momentum);
  const auto take =
      static_cast<float>((1.0 - input.statistic_momentum) /
                         static_cast<double>(std::max<int64_t>(input.observations, 1)));

  float* const values = store.values().data();
  const float* const gradients = store.gradients(input.slot).data();
  float* const state0 = num_states > 0 ? store.optimiser_state(0).data() : nullptr;
  float* const state1 = num_states > 1 ? store.optimiser_state(1).data() : nullptr;
  const auto ranges = store.ranges();
  pool.run(static_cast<int64_t>(ranges.size()), [&](int64_t task, int /*thread*/) {
    const ParameterRange& range = ranges[static_cast<size_t>(task)];
    const ParameterRole role = store.specs()[static_cast<size_t>(range.parameter)].role;
    float* const w = values + range.begin;
    const float* const sum = gradients + range.begin;
    if (role == ParameterRole::moving_statistic) {
      if (input.observations > 0) {
        average(w, sum, range.count, keep, take);
      }
      return;
    }
    const Factors& f = role == ParameterRole::weight ? with_decay : without_decay;
    if (spec.kind != OptimiserKind::sgd) {
      adam(w, sum, state0 + range.begin, state1 + range.begin, range.count, f);
    } else if (num_states == 0) {
      descend(w, sum, range.count, f);
    } else if (spec.nesterov) {
      descend_with_nesterov(w, sum, state0 + range.begin, range.count, f);
    } else {
      descend_with_momentum(w, sum, state0 + range.begin, range.count, f);
    }
  });
  return result;
}

}  // namespace wholemount
