#pragma once

#include <cstdint>

namespace wholemount {

/// Winograd tiles, named by the outputs per tile along d, h, w. Kernels of three taps; the two
/// tiles of one output along d are for kernels of one tap along d.
enum class WinogradTile : int32_t { f444, f244, f222, f144, f122 };

}  // namespace wholemount
