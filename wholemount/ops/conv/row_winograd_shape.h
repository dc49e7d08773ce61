#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wholemount/base/cpu.h"
#include "wholemount/ops/conv/geometry.h"
#include "wholemount/ops/conv/inner/row_winograd.h"

namespace wholemount {

/// Facts about a tile along w.
struct RowTileShape {
  RowTile tile = RowTile::f6k5;
  int64_t outputs = 6;
  int64_t taps = 5;

  /// Inputs, and products, per tile.
  [[nodiscard]] int64_t points() const { return outputs + taps - 1; }
  /// "f6k5"
  [[nodiscard]] std::string name() const {
    return "f" + std::to_string(outputs) + "k" + std::to_string(taps);
  }
};

/// Why Winograd along w does not take the geometry: empty when it does (3 or 5 taps along h and w,
/// of stride and dilation 1; anything along d). `geometry` gathers the destination.
[[nodiscard]] std::string row_winograd_geometry_refusal(const CorrelationGeometry& geometry);

/// The tile to use for destinations of `geometry` gathered from `channels` planar channels: by
/// estimated work, waste at the far edges included, or the one the target asks for; none where
/// direct convolution is estimated to be faster. Depends on shapes only.
[[nodiscard]] std::optional<RowTileShape> choose_row_tile(const CorrelationGeometry& geometry,
                                                          int64_t channels, Convolution asked);

}  // namespace wholemount
