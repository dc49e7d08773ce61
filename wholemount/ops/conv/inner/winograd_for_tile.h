#pragma once

#include "wholemount/ops/conv/inner/winograd_axis.h"
#include "wholemount/ops/conv/inner/winograd_axis_pairs.h"
#include "wholemount/ops/conv/inner/winograd_tile.h"

/// WM_FOR_TILE(Kind, call) is `return Kind<axis d, axis h and w>::call` for the run-time `tile`.
namespace wholemount::WM_ISA {

using One = WinogradAxis<1, 1>;
using Two = WinogradAxis<2, 3>;
using Four = WinogradAxis<4, 3>;

#define WM_FOR_TILE(Kind, call)                   \
  switch (tile) {                                 \
    case WinogradTile::f444:                      \
      return Kind<Four, Four>::call;              \
    case WinogradTile::f244:                      \
      return Kind<Two, Four>::call;               \
    case WinogradTile::f222:                      \
      return Kind<Two, Two>::call;                \
    case WinogradTile::f144:                      \
      return Kind<One, Four>::call;               \
    case WinogradTile::f122:                      \
      return Kind<One, Two>::call;                \
    case WinogradTile::f166k5:                    \
      return Kind<One, WinogradAxis<6, 5>>::call; \
    case WinogradTile::f144k5:                    \
      return Kind<One, WinogradAxis<4, 5>>::call; \
    case WinogradTile::f122k5:                    \
      return Kind<One, WinogradAxis<2, 5>>::call; \
  }

}  // namespace wholemount::WM_ISA
