#include "wholemount/ops/conv/winograd_shape.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "wholemount/ops/conv/tile_choice.h"

namespace wholemount {

namespace {

// Costs in 16-lane multiply-adds, of which a core does about two a cycle; fitted to measurements of
// all tiles on layers from 16 channels at 240^2 to 256 at 6^3 (AVX-512, 2 MiB of L2).
constexpr double kDirectPerTap = 1.1;
/// Per tap, source channel and destination block: the gathering of the weights.
constexpr double kDirectWeights = 100.0;
/// Per frequency and block of a tile: one vector written and read again. The more a block of tiles
/// exceeds the cache, the dearer.
constexpr double kTransform = 14.0;
constexpr double kFarExponent = 1.3;
/// Per frequency, source channel and destination block: gather and transform of the weights, also
/// when these outgrow the cache; then they come back for every block of about kTilesPerRead tiles.
constexpr double kFilter = 55.0;
/// The same for the weight gradient, whose sums are only transformed back.
constexpr double kFilterAdjoint = 20.0;
constexpr double kFarFilter = 190.0;
constexpr double kReread = 4.0;
constexpr double kTilesPerRead = 28.0;
constexpr double kCachedWeightBytes = 1 << 20;
constexpr double kCachedBlockBytes = 2 << 20;

/// DeepWinogradKernel: per product, the more frequencies the more of the sums lie far away; per
/// frequency, source channel, destination block and block of tiles, gather and transform of the
/// weights; and the transforms of a vector, where each part of the destinations takes the source's.
constexpr double kDeepProduct = 0.87;
constexpr double kDeepProductPerFrequency = 0.0025;
constexpr double kDeepFilter = 22.0;
constexpr double kDeepTransform = 12.0;
constexpr double kDeepTiles = 28.0;
constexpr double kDeepPartBlocks = 4.0;

constexpr Extent3 kDeepKernel{3, 3, 3};
constexpr Extent3 kFlatKernel{1, 3, 3};
constexpr Extent3 kWideKernel{1, 5, 5};

double blocks(int64_t channels) { return static_cast<double>(divide_up(channels, 16)); }

}  // namespace

WinogradShape winograd_shape(WinogradTile tile) {
  switch (tile) {
    case WinogradTile::f444:
      return {tile, {4, 4, 4}, {6, 6, 6}};
    case WinogradTile::f244:
      return {tile, {2, 4, 4}, {4, 6, 6}};
    case WinogradTile::f222:
      return {tile, {2, 2, 2}, {4, 4, 4}};
    case WinogradTile::f144:
      return {tile, {1, 4, 4}, {1, 6, 6}};
    case WinogradTile::f122:
      return {tile, {1, 2, 2}, {1, 4, 4}};
    case WinogradTile::f166k5:
      return {tile, {1, 6, 6}, {1, 10, 10}};
    case WinogradTile::f144k5:
      return {tile, {1, 4, 4}, {1, 8, 8}};
    case WinogradTile::f122k5:
      return {tile, {1, 2, 2}, {1, 6, 6}};
  }
  throw InternalError("unknown Winograd tile");
}

const char* winograd_name(WinogradTile tile) {
  constexpr std::array<const char*, 8> kNames{"f444", "f244",   "f222",   "f144",
                                              "f122", "f166k5", "f144k5", "f122k5"};
  return kNames[static_cast<size_t>(tile)];
}

std::string winograd_geometry_refusal(const ConvGeometry& g) {
  const Extent3& k = g.kernel;
  if ((k != kDeepKernel && k != kFlatKernel && k != kWideKernel) || g.stride != Extent3{1, 1, 1} ||
      g.dilation != Extent3{1, 1, 1}) {
    return "takes kernels 3x3x3, 1x3x3 and 1x5x5 of stride and dilation 1";
  }
  if (g.padding.d > 2 || g.padding.h >= k.h || g.padding.w >= k.w) {
    return "takes padding less than the kernel";
  }
  return {};
}

double direct_cost(const WinogradWork& work) {
  const auto taps = static_cast<double>(volume(work.kernel));
  // The halo between rows is walked, too; the weight gradient takes whole blocks of both operands.
  const auto outputs = static_cast<double>(work.n * work.outputs.d * work.outputs.h) *
                       static_cast<double>(work.outputs.w + work.kernel.w - 1);
  const double channels = work.weight_gradient ? 16.0 * blocks(work.source_channels)
                                               : static_cast<double>(work.source_channels);
  const double pairs = channels * blocks(work.destination_channels);
  return taps * pairs * (kDirectPerTap * outputs + kDirectWeights);
}

double winograd_cost(const WinogradWork& work, WinogradTile tile) {
  const WinogradShape shape = winograd_shape(tile);
  const auto frequencies = static_cast<double>(shape.frequencies());
  const double tiles =
      static_cast<double>(work.n) * static_cast<double>(divide_up(work.outputs.d, shape.outputs.d) *
                                                        divide_up(work.outputs.h, shape.outputs.h) *
                                                        divide_up(work.outputs.w, shape.outputs.w));
  const double source = blocks(work.source_channels);
  const double destinations = blocks(work.destination_channels);
  const double pairs =
      destinations *
      (work.weight_gradient ? 16.0 * source : static_cast<double>(work.source_channels));
  const double block_bytes = 64.0 * frequencies * kTilesPerRead * (source + destinations);
  // The weight gradient keeps to panels of channels that fit the cache.
  const double excess = work.weight_gradient ? 1.0 : std::max(block_bytes / kCachedBlockBytes, 1.0);
  const double transforms =
      kTransform * std::pow(excess, kFarExponent) * tiles * (source + destinations);
  const double passes = std::max(tiles / kTilesPerRead, 1.0);
  const bool cached = 64.0 * frequencies * pairs <= kCachedWeightBytes;
  const double weights = work.weight_gradient ? kFilterAdjoint
                         : cached             ? kFilter
                                              : kFarFilter + kReread * passes;
  return frequencies * (tiles * pairs + transforms + weights * pairs);
}

double deep_winograd_cost(const WinogradWork& work, WinogradTile tile) {
  const WinogradShape shape = winograd_shape(tile);
  const auto frequencies = static_cast<double>(shape.frequencies());
  const auto tiles = static_cast<double>(divide_up(work.outputs.d, shape.outputs.d) *
                                         divide_up(work.outputs.h, shape.outputs.h) *
                                         divide_up(work.outputs.w, shape.outputs.w));
  const double passes = std::ceil(tiles / kDeepTiles);
  const double source = blocks(work.source_channels);
  const double destinations = blocks(work.destination_channels);
  const double pairs = static_cast<double>(work.source_channels) * destinations;
  const double product = kDeepProduct + kDeepProductPerFrequency * frequencies;
  const double transforms =
      kDeepTransform * tiles * (source * std::ceil(destinations / kDeepPartBlocks) + destinations);
  return static_cast<double>(work.n) * frequencies *
         (pairs * (product * tiles + kDeepFilter * passes) + transforms);
}

bool prefers_deep_winograd(const WinogradWork& work, WinogradTile tile) {
  return !work.weight_gradient && deep_winograd_cost(work, tile) < winograd_cost(work, tile);
}

std::optional<WinogradTile> choose_winograd_tile(const WinogradWork& work, Convolution asked) {
  using Tiles = std::array<WinogradTile, 3>;
  constexpr Tiles kDeep{WinogradTile::f222, WinogradTile::f244, WinogradTile::f444};
  constexpr Tiles kFlat{WinogradTile::f122, WinogradTile::f144, WinogradTile::f144};
  constexpr Tiles kWide{WinogradTile::f122k5, WinogradTile::f144k5, WinogradTile::f166k5};
  const Tiles& tiles = work.kernel == kDeepKernel   ? kDeep
                       : work.kernel == kFlatKernel ? kFlat
                                                    : kWide;
  return choose_tile(tiles, asked, direct_cost(work), [&](WinogradTile tile) {
    return prefers_deep_winograd(work, tile) ? deep_winograd_cost(work, tile)
                                             : winograd_cost(work, tile);
  });
}

}  // namespace wholemount
