#pragma once

#include <cstdint>

#include "wholemount/base/simd/isa.h"

namespace wholemount {

/// `count` floats with a period of 16 lanes; each operand is read through its LoadTransform
/// z > 0 ? z : slope * z, z = fma(scale, x, shift). y may be a or b.
struct AddRow {
  struct Operand {
    const float* x;
    const float* scale;  ///< 16 lanes
    const float* shift;  ///< 16 lanes
    float slope;
    bool identity;
  };
  Operand a;
  Operand b;
  float* y;
  int64_t count;
};

WM_DECLARE_PER_ISA(void add_row(const AddRow& row);)

}  // namespace wholemount
