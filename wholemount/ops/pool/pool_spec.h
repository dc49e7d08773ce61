#pragma once

#include <string>

#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// A sliding window. Windows reach at most half their size into the padding, which is never
/// chosen or counted.
struct PoolSpec {
  Extent3 kernel{2, 2, 2};
  Extent3 stride{2, 2, 2};
  Extent3 padding{0, 0, 0};
};

/// "k2x2x2 s2x2x2 p0x0x0"
[[nodiscard]] std::string to_string(const PoolSpec& spec);

}  // namespace wholemount
