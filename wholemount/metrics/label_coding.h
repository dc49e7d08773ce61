#pragma once

#include <cstdint>

namespace wholemount {

/// What the voxels of a u8 label tensor mean: a class index, or a set of bits, bit r = inside
/// region r.
enum class LabelCoding : uint8_t { classes, regions };

}  // namespace wholemount
