#pragma once

#include <array>
#include <optional>

#include "wholemount/base/cpu.h"

namespace wholemount {

/// One of three Winograd tiles, given by rising number of outputs, which is what winograd2,
/// winograd24 and winograd4 name; without a name the one of least cost(tile), or none where direct
/// convolution, of cost `direct`, costs no more.
template <class Tile, class Cost>
std::optional<Tile> choose_tile(const std::array<Tile, 3>& tiles, Convolution asked, double direct,
                                const Cost& cost) {
  switch (asked) {
    case Convolution::direct:
      return {};
    case Convolution::winograd2:
      return tiles[0];
    case Convolution::winograd24:
      return tiles[1];
    case Convolution::winograd4:
      return tiles[2];
    case Convolution::best:
      break;
  }
  double least = direct;
  std::optional<Tile> best;
  for (auto tile = tiles.rbegin(); tile != tiles.rend(); ++tile) {
    const double found = cost(*tile);
    if (found >= least) continue;
    least = found;
    best = *tile;
  }
  return best;
}

}  // namespace wholemount
