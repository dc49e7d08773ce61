#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// What the values of a test tensor are.
enum class FillKind : uint8_t {
  normal,      ///< standard normal
  uniform,     ///< [low, high)
  classes,     ///< integers 0 .. count - 1 (u8 label maps)
  bit_masks,   ///< integers 0 .. 2^count - 1 (u8 region masks)
  statistics,  ///< consistent StatisticsRow rows of `count` channels, zero beyond them
  zeros,
  ones,
  values,  ///< `values`, in plain order [n][c][d][h][w]
};

/// How one input of a test case is filled, and how it is handed to the kernel.
struct InputFill {
  FillKind kind = FillKind::normal;
  double low = -1.0;
  double high = 1.0;
  int64_t count = 2;
  std::vector<double> values = {};
  /// Read through a random per-channel scale (either sign, never 0) and shift.
  bool scale_shift = false;
  /// Leaky slope of the LoadTransform; 1 = no activation.
  float slope = 1.0F;
  /// A parameter or another small tensor that kernels always see whole (tensors of a single row
  /// always count as such).
  bool whole = false;

  static InputFill uniform(double low, double high);
  static InputFill classes(int64_t count);
  static InputFill bit_masks(int64_t count);
  static InputFill statistics(int64_t channels);
  static InputFill of(std::vector<double> values);
  /// Normal values read through scale, shift and slope.
  static InputFill through(float slope);
  /// Normal values read through a slope only.
  static InputFill activated(float slope);
  /// Normal values that kernels see whole.
  static InputFill parameter();
};

/// The values in plain order [n][c][d][h][w], whatever the layout and element type.
[[nodiscard]] std::vector<double> to_plain(const TensorView& view);

/// Writes values given in plain order (converted to the element type); lanes beyond c become zero.
void from_plain(const TensorView& view, const std::vector<double>& values);

/// Values for a tensor of this shape in plain order; each is exact in float32. A function of
/// (desc, fill, seed) and not of the layout.
[[nodiscard]] std::vector<double> fill_values(const TensorDesc& desc, const InputFill& fill,
                                              uint64_t seed);

}  // namespace wholemount
