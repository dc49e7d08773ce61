#pragma once

#include <cstdint>

namespace wholemount {

/// Winograd tiles, named by the outputs per tile along d, h, w. Kernels of three taps; the tiles of
/// one output along d are for kernels of one tap along d, those ending in k5 for five taps along h
/// and w.
enum class WinogradTile : int32_t { f444, f244, f222, f144, f122, f166k5, f144k5, f122k5 };

}  // namespace wholemount
