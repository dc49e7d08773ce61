#include "wholemount/ops/conv/row_winograd_shape.h"

#include <array>

#include "wholemount/ops/conv/tile_choice.h"

namespace wholemount {

namespace {

// Costs in 16-lane multiply-adds at the direct kernels' rate; see docs/kernels.md for measurements.
/// Per product: the weights, too, come from memory.
constexpr double kProduct = 1.0;
/// Per source row, channel and point: one multiply-add of which six lanes or more are empty, and
/// each record is stored and loaded again.
constexpr double kInput = 3.0;
/// Per product and output: stored, loaded, and transformed.
constexpr double kOutput = 5.0;

constexpr RowTileShape kTwoOfThree{RowTile::f2k3, 2, 3};
constexpr RowTileShape kFourOfThree{RowTile::f4k3, 4, 3};
constexpr RowTileShape kTwoOfFive{RowTile::f2k5, 2, 5};
constexpr RowTileShape kFourOfFive{RowTile::f4k5, 4, 5};
constexpr RowTileShape kSixOfFive{RowTile::f6k5, 6, 5};

bool is_plain_axis(const CorrelationAxis& axis) {
  const auto taps = static_cast<int64_t>(axis.classes.front().taps.size());
  return axis.source_step == 1 && axis.max_offset - axis.min_offset + 1 == taps &&
         (taps == 3 || taps == 5);
}

double tile_cost(const CorrelationGeometry& g, int64_t channels, const RowTileShape& shape) {
  const auto planes = static_cast<double>(g.d.classes.front().taps.size());
  const auto rows = static_cast<double>(g.h.classes.front().taps.size());
  const auto points = static_cast<double>(shape.points());
  const auto source = static_cast<double>(channels);
  const auto tiles = static_cast<double>(divide_up(g.w.count, shape.outputs));
  const auto row_count = static_cast<double>(round_up(g.h.count, kRowsTogether));
  const double each = points * planes * rows * source * kProduct + points * source * kInput +
                      (points + static_cast<double>(shape.outputs)) * kOutput;
  return row_count * tiles * each;
}

}  // namespace

std::string row_winograd_geometry_refusal(const CorrelationGeometry& g) {
  const bool one_class =
      g.d.classes.size() == 1 && g.h.classes.size() == 1 && g.w.classes.size() == 1;
  if (!one_class || g.d.destination_step != 1 || !is_plain_axis(g.h) || !is_plain_axis(g.w)) {
    return "takes kernels of 3 or 5 taps along h and w, of stride and dilation 1 there";
  }
  return {};
}

std::optional<RowTileShape> choose_row_tile(const CorrelationGeometry& g, int64_t channels,
                                            Convolution asked) {
  using Tiles = std::array<RowTileShape, 3>;
  constexpr Tiles kThree{kTwoOfThree, kFourOfThree, kFourOfThree};
  constexpr Tiles kFive{kTwoOfFive, kFourOfFive, kSixOfFive};
  const auto taps = static_cast<int64_t>(g.w.classes.front().taps.size());
  const Tiles& tiles = taps == 3 ? kThree : kFive;
  const double direct = static_cast<double>(volume(g.kernel) * channels) *
                        static_cast<double>(g.h.count * (g.w.count + taps - 1));
  return choose_tile(tiles, asked, direct,
                     [&](const RowTileShape& tile) { return tile_cost(g, channels, tile); });
}

}  // namespace wholemount
