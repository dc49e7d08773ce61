#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/exec/parameter_store.h"

namespace wholemount {

enum class OptimiserKind : uint8_t { sgd, adam, adamw };

/// `train.optimizer` of the configuration.
struct OptimiserSpec {
  OptimiserKind kind = OptimiserKind::adam;
  double rate = 1e-3;         ///< base learning rate, before the schedule
  double momentum = 0.9;      ///< sgd only; 0: plain gradient descent
  bool nesterov = false;      ///< sgd only
  double weight_decay = 0.0;  ///< weights only; see update
  double beta1 = 0.9;         ///< adam, adamw: decay of the first moment
  double beta2 = 0.999;       ///< adam, adamw: decay of the second moment
  double epsilon = 1e-8;      ///< adam, adamw: added to the root of the second moment

  friend bool operator==(const OptimiserSpec&, const OptimiserSpec&) = default;
};

/// What one update is told.
struct UpdateInput {
  double rate = 1e-3;               ///< learning rate of this update (base rate after the schedule)
  int64_t update = 1;               ///< number of this update, counted from 1 (bias correction)
  int32_t slot = 0;                 ///< gradient slot that holds the batch's sum
  double gradient_scale = 1.0;      ///< applied while the sum is read: 1 / batch gives the mean
  std::optional<double> clip_norm;  ///< largest global norm of the scaled gradient; none: no limit
  /// Programs whose observed moving statistics were summed into the slot; 0: leave them alone.
  int64_t observations = 1;
  double statistic_momentum = 0.99;  ///< m of the moving statistics
};

struct UpdateResult {
  /// Global norm of the scaled gradient before clipping: sqrt of the sum of squares in double.
  double gradient_norm = 0.0;
  /// False when the norm was not finite; then nothing was changed.
  bool applied = true;
};

/// Blocks of optimiser state a store needs: adam and adamw 2 (first, second moment), sgd 1
/// (velocity) or, without momentum, 0.
[[nodiscard]] int32_t num_optimiser_states(const OptimiserSpec& spec);

/// Floats of memory read and written per trainable element by an update, its norm included.
[[nodiscard]] int64_t update_floats_per_element(const OptimiserSpec& spec);

/// Changes the values of `store` by one update. With s = gradient_scale, G the sum in the slot,
///
///     g = s * c * G,  c = min(1, clip_norm / |s * G|)      |.| over all trainable parameters
///
/// and, for every trainable element w (d = weight_decay where the parameter's role is weight, else
/// 0: biases and norm scales and shifts are never decayed):
///
///     sgd    g += d * w;  v = momentum * v + g;  w -= rate * (nesterov ? g + momentum * v : v)
///     adam   g += d * w;  m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g * g
///            w -= rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
///     adamw  w -= rate * d * w, then adam with d = 0 (decoupled decay)
///
/// t = update. This is Algorithm 1 of Kingma & Ba (2015) and PyTorch's form; Keras adds its epsilon
/// to the uncorrected root, i.e. Keras's epsilon is ours times sqrt(1 - beta2^t). The momentum form
/// (velocity is a sum of gradients, the rate is applied afterwards) is PyTorch's; it equals Keras's
/// while the rate is constant. AdamW: Loshchilov & Hutter (2019).
///
/// A moving statistic is no weight: its slot holds the sum of the values observed by `observations`
/// programs, and value = m * value + (1 - m) * sum / observations.
///
/// Arithmetic is float32 element by element (the scalar factors are computed in double and rounded
/// once); the same bits for any number of threads. Reads and writes each block once. Allocates
/// nothing tensor-sized. The store needs num_optimiser_states(spec) states.
UpdateResult update(ParameterStore& store, const OptimiserSpec& spec, const UpdateInput& input,
                    ThreadPool& pool);

}  // namespace wholemount
