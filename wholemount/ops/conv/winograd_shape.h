#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wholemount/base/cpu.h"
#include "wholemount/ops/conv/geometry.h"
#include "wholemount/ops/conv/inner/winograd_tile.h"

namespace wholemount {

/// Facts about a tile.
struct WinogradShape {
  WinogradTile tile = WinogradTile::f222;
  Extent3 outputs;  ///< per tile
  Extent3 points;   ///< inputs, and frequencies, per tile

  [[nodiscard]] int64_t frequencies() const { return volume(points); }
};
[[nodiscard]] WinogradShape winograd_shape(WinogradTile tile);
/// "f444"
[[nodiscard]] const char* winograd_name(WinogradTile tile);

/// What a choice depends on: outputs, and channels in both roles.
struct WinogradWork {
  int64_t n = 1;
  Extent3 outputs;
  Extent3 kernel{3, 3, 3};
  int64_t source_channels = 1;
  int64_t destination_channels = 1;
  bool weight_gradient = false;
};

/// Why Winograd does not take the geometry: empty when it does (3x3x3, 1x3x3 or 1x5x5, stride and
/// dilation 1, padding less than the kernel).
[[nodiscard]] std::string winograd_geometry_refusal(const ConvGeometry& geometry);

/// The tile to use: by estimated work, waste at the far edges included, or the one the target asks
/// for; none where direct convolution is estimated to be faster. Depends on shapes only.
[[nodiscard]] std::optional<WinogradTile> choose_winograd_tile(const WinogradWork& work,
                                                               Convolution asked);

/// Whether transforming the weights anew for each block of tiles (DeepWinogradKernel) is estimated
/// to be faster than keeping them in shared scratch. Not for the weight gradient.
[[nodiscard]] bool prefers_deep_winograd(const WinogradWork& work, WinogradTile tile);

/// Estimated work in units of one 16-lane multiply-add: with weights in shared scratch, and with
/// weights transformed for each block of tiles.
[[nodiscard]] double winograd_cost(const WinogradWork& work, WinogradTile tile);
[[nodiscard]] double deep_winograd_cost(const WinogradWork& work, WinogradTile tile);
[[nodiscard]] double direct_cost(const WinogradWork& work);

}  // namespace wholemount
