#pragma once

#include <cstdint>

namespace wholemount {

/// The value of a u8 target voxel that takes no part in loss, gradient or metrics: padding, or a
/// voxel nobody labelled. Class targets hold the class index (0..254), region targets one bit per
/// region (at most 7).
inline constexpr uint8_t kIgnoreTarget = 255;

}  // namespace wholemount
