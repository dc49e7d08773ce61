#pragma once

#include <cstdint>
#include <string>

#include "wholemount/base/error.h"

namespace wholemount {

/// a * b, or ShapeError when the product leaves int64.
inline int64_t checked_multiply(int64_t a, int64_t b) {
  int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) {
    throw ShapeError("size overflow: " + std::to_string(a) + " x " + std::to_string(b) +
                     " does not fit in 64 bits");
  }
  return result;
}

/// a + b, or ShapeError when the sum leaves int64.
inline int64_t checked_add(int64_t a, int64_t b) {
  int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) {
    throw ShapeError("size overflow: " + std::to_string(a) + " + " + std::to_string(b) +
                     " does not fit in 64 bits");
  }
  return result;
}

/// Smallest multiple of `unit` that is >= value (value >= 0, unit > 0).
inline int64_t round_up(int64_t value, int64_t unit) {
  return checked_multiply(value / unit + (value % unit != 0 ? 1 : 0), unit);
}

/// ceil(value / unit) for value >= 0, unit > 0.
constexpr int64_t divide_up(int64_t value, int64_t unit) {
  return value / unit + (value % unit != 0 ? 1 : 0);
}

}  // namespace wholemount
