#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount::bench {

/// A layer to time, written as a case string:
///   [n1] c32[+16] 96x96x96 [k3 | k1x5x5] [s1] [p1] [r1] [up] -> c64
/// Channels joined by + are tensors concatenated without a copy; `up` asks for the transposed
/// convolution, r for dilation. Extents are d, h, w, and hxw for one plane. Left out: n1, k3, s1,
/// and the padding that keeps the extent (none for `up`). E.g. "c64+32 96x96x96 -> c32", "c32
/// 48x48x48 k2 s2 up -> c16".
struct LayerCase {
  std::string text;
  int64_t n = 1;
  std::vector<int64_t> c_in;
  int64_t c_out = 1;
  Extent3 extent;  ///< of the input
  ConvKind kind = ConvKind::conv;
  ConvGeometry geometry;

  [[nodiscard]] int64_t input_channels() const;
  [[nodiscard]] Extent3 output_extent() const;
};

/// Throws ConfigError naming the word that cannot be read.
[[nodiscard]] LayerCase parse_layer_case(const std::string& text);

/// The layers of a named list: "wide-unet" (kernels.md section 6), "paper-a" (f = 16 at [144, 240,
/// 240]), "mcnn" (5x5 at 1024x1280), "transposed", "few-channels". Throws ConfigError.
[[nodiscard]] std::vector<std::string> layer_list(const std::string& name);
[[nodiscard]] std::vector<std::string> layer_list_names();

}  // namespace wholemount::bench
