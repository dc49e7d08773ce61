#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "wholemount/ops/resize/upsample.h"

namespace wholemount {

/// One axis of an upsampling: how outputs read inputs, and the other way round.
class UpsampleAxis {
 public:
  UpsampleAxis(UpsampleMode mode, int64_t factor, int64_t input);

  /// y[o] = (1 - weight) x[first] + weight x[second]; second == first where weight is 0.
  struct Taps {
    int64_t first = 0;
    int64_t second = 0;
    double weight = 0.0;
  };
  [[nodiscard]] Taps taps(int64_t o) const;

  /// grad_x[i] = sum of weights[k] * grad_y[begin + k].
  struct Adjoint {
    int64_t begin = 0;
    const std::vector<float>* weights = nullptr;
    [[nodiscard]] int64_t end() const { return begin + static_cast<int64_t>(weights->size()); }
  };
  [[nodiscard]] Adjoint adjoint(int64_t i) const;

  [[nodiscard]] int64_t factor() const { return factor_; }
  [[nodiscard]] int64_t input() const { return input_; }
  [[nodiscard]] int64_t output() const { return input_ * factor_; }

 private:
  /// Weights of one kind of input position, and where they begin relative to i * factor.
  struct Table {
    int64_t offset = 0;
    std::vector<float> weights;
  };
  [[nodiscard]] Table make_table(int64_t i) const;

  UpsampleMode mode_;
  int64_t factor_;
  int64_t input_;
  std::array<Table, 3> tables_;  ///< first, inner and last position
};

/// The three axes of an upsampling.
struct UpsampleGeometry {
  UpsampleAxis d;
  UpsampleAxis h;
  UpsampleAxis w;

  UpsampleGeometry(const UpsampleSpec& spec, const Extent3& input);
  [[nodiscard]] Extent3 output() const { return {d.output(), h.output(), w.output()}; }
  /// The inputs that a box of outputs reads.
  [[nodiscard]] Box3 inputs_of(const Box3& outputs) const;
  /// The outputs that read a box of inputs.
  [[nodiscard]] Box3 outputs_of(const Box3& inputs) const;
};

}  // namespace wholemount
