#include "wholemount/ops/conv/winograd_shape.h"

#include <algorithm>
#include <array>

namespace wholemount {

namespace {

// Costs in 16-lane multiply-adds, of which a core does about two a cycle. Measured: a transform is
// bound by one 64-byte store a cycle; direct kernels reach about nine tenths of the rate of the
// products.
constexpr double kDirectPerTap = 1.1;
/// Per frequency of a tile and channel block; the transforms' passes store about 2.3 vectors.
constexpr double kTransform = 6.0;
/// Per frequency, source channel and destination block: transform and gather of the weights.
constexpr double kFilter = 10.0;
/// Per frequency, channel and block, when the transformed weights outgrow the cache: they come from
/// memory once for each of the blocks of about this many tiles.
constexpr double kReread = 16.0;
constexpr double kTilesPerRead = 28.0;
constexpr double kCachedWeightBytes = 1 << 20;

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
  }
  throw InternalError("unknown Winograd tile");
}

const char* winograd_name(WinogradTile tile) {
  constexpr std::array<const char*, 5> kNames{"f444", "f244", "f222", "f144", "f122"};
  return kNames[static_cast<size_t>(tile)];
}

std::string winograd_geometry_refusal(const ConvGeometry& g) {
  const bool taps = (g.kernel.d == 3 || g.kernel.d == 1) && g.kernel.h == 3 && g.kernel.w == 3;
  if (!taps || g.stride != Extent3{1, 1, 1} || g.dilation != Extent3{1, 1, 1}) {
    return "takes kernels 3x3x3 and 1x3x3 of stride and dilation 1";
  }
  return {};
}

double direct_cost(const WinogradWork& work) {
  const double taps = work.flat_kernel ? 9.0 : 27.0;
  // The weight gradient broadcasts one operand only over whole blocks.
  const double channels = work.weight_gradient ? 16.0 * blocks(work.source_channels)
                                               : static_cast<double>(work.source_channels);
  return kDirectPerTap * taps * static_cast<double>(work.n) *
         static_cast<double>(volume(work.outputs)) * channels * blocks(work.destination_channels);
}

double winograd_cost(const WinogradWork& work, WinogradTile tile) {
  const WinogradShape shape = winograd_shape(tile);
  const auto frequencies = static_cast<double>(shape.frequencies());
  const double tiles = static_cast<double>(work.n) *
                       static_cast<double>(divide_up(work.outputs.d, shape.outputs.d) *
                                           divide_up(work.outputs.h, shape.outputs.h) *
                                           divide_up(work.outputs.w, shape.outputs.w));
  const auto source = static_cast<double>(work.source_channels);
  const double destinations = blocks(work.destination_channels);
  const double pairs = source * destinations;
  const double products = tiles * pairs;
  const double transforms = tiles * kTransform * (blocks(work.source_channels) + destinations);
  // Few tiles fill the register tiles badly and leave nothing to hide the loads behind.
  const double passes = std::max(tiles / kTilesPerRead, 1.0);
  const bool cached = 64.0 * frequencies * pairs <= kCachedWeightBytes;
  const double weights = pairs * (kFilter + (cached ? 0.0 : kReread * passes));
  return frequencies * (products + transforms + weights);
}

std::optional<WinogradTile> choose_winograd_tile(const WinogradWork& work, Convolution asked) {
  const bool flat = work.flat_kernel;
  switch (asked) {
    case Convolution::direct:
      return {};
    case Convolution::winograd2:
      return flat ? WinogradTile::f122 : WinogradTile::f222;
    case Convolution::winograd24:
      return flat ? WinogradTile::f144 : WinogradTile::f244;
    case Convolution::winograd4:
      return flat ? WinogradTile::f144 : WinogradTile::f444;
    case Convolution::best:
      break;
  }
  constexpr std::array<WinogradTile, 3> kDeep{WinogradTile::f444, WinogradTile::f244,
                                              WinogradTile::f222};
  constexpr std::array<WinogradTile, 2> kFlat{WinogradTile::f144, WinogradTile::f122};
  double least = direct_cost(work);
  std::optional<WinogradTile> best;
  const auto consider = [&](WinogradTile tile) {
    const double cost = winograd_cost(work, tile);
    if (cost >= least) return;
    least = cost;
    best = tile;
  };
  if (flat) {
    for (const WinogradTile tile : kFlat) consider(tile);
  } else {
    for (const WinogradTile tile : kDeep) consider(tile);
  }
  return best;
}

}  // namespace wholemount
