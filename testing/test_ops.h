#pragma once

#include <memory>

#include "wholemount/graph/op.h"

namespace wholemount {

/// Copies a parameter; binds the gradient of the copy to it.
[[nodiscard]] std::shared_ptr<const Op> make_leaf();

/// r . y with random r; inputs {y}, output a scalar.
[[nodiscard]] std::shared_ptr<const Op> make_projection(uint64_t seed);

}  // namespace wholemount
