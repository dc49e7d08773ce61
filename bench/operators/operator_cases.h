#pragma once

#include <functional>
#include <string>
#include <vector>

#include "wholemount/graph/graph.h"

namespace wholemount::bench {

/// An operator at one size, with its backward pass where it has one.
struct OperatorCase {
  std::string text;
  std::function<void(GraphBuilder&)> build;
};

/// Every operator bound by memory, at 16 channels of 128^3 voxels, at 24 (ragged), and at what the
/// networks give it.
[[nodiscard]] std::vector<OperatorCase> operator_cases();

/// The convolutions outside Winograd's reach, as case strings (bench/kernels/case_string.h).
[[nodiscard]] std::vector<std::string> direct_convolution_cases();

}  // namespace wholemount::bench
