#pragma once

#include "wholemount/ops/conv/inner/row_winograd.h"
#include "wholemount/ops/conv/inner/winograd_axis.h"
#include "wholemount/ops/conv/inner/winograd_axis_pairs.h"

/// WM_FOR_ROW_TILE(Kind, call) is `return Kind<axis>::call` for the run-time `tile`.
#define WM_FOR_ROW_TILE(Kind, call)          \
  switch (tile) {                            \
    case RowTile::f2k3:                      \
      return Kind<WinogradAxis<2, 3>>::call; \
    case RowTile::f4k3:                      \
      return Kind<WinogradAxis<4, 3>>::call; \
    case RowTile::f2k5:                      \
      return Kind<WinogradAxis<2, 5>>::call; \
    case RowTile::f4k5:                      \
      return Kind<WinogradAxis<4, 5>>::call; \
    case RowTile::f6k5:                      \
      return Kind<WinogradAxis<6, 5>>::call; \
  }
