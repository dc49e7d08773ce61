#include "bench/kernels/case_string.h"

#include <sstream>

#include "wholemount/base/error.h"

namespace wholemount::bench {

namespace {

[[noreturn]] void fail(const std::string& word, const std::string& text) {
  throw ConfigError("case \"" + text + "\": cannot read \"" + word +
                    "\"; wanted e.g. \"n1 c64+32 96x96x96 k3 s1 p1 -> c32\"");
}

/// "3", "3x5" or "2x3x4" as numbers.
std::vector<int64_t> numbers(const std::string& word, char separator, const std::string& text) {
  std::vector<int64_t> result;
  std::istringstream stream(word);
  for (std::string part; std::getline(stream, part, separator);) {
    size_t used = 0;
    try {
      result.push_back(std::stoll(part, &used));
    } catch (const std::exception&) {
      fail(word, text);
    }
    if (used != part.size() || result.back() < 0) fail(word, text);
  }
  if (result.empty()) fail(word, text);
  return result;
}

/// One number for all axes (1 along d for images of one plane, where `flat` says so), or d, h, w.
Extent3 axes(const std::vector<int64_t>& values, int64_t flat) {
  if (values.size() == 3) return {values[0], values[1], values[2]};
  if (values.size() == 2) return {flat, values[0], values[1]};
  return {values[0], values[0], values[0]};
}

}  // namespace

int64_t LayerCase::input_channels() const {
  int64_t sum = 0;
  for (const int64_t c : c_in) sum += c;
  return sum;
}

Extent3 LayerCase::output_extent() const {
  return kind == ConvKind::conv ? conv_output_extent(geometry, extent, text)
                                : conv_adjoint_extent(geometry, extent, text);
}

LayerCase parse_layer_case(const std::string& text) {
  LayerCase result;
  result.text = text;
  bool has_padding = false;
  bool has_extent = false;
  bool after_arrow = false;
  std::istringstream stream(text);
  for (std::string word; stream >> word;) {
    const std::string rest = word.substr(1);
    if (word == "->") {
      after_arrow = true;
    } else if (word == "up") {
      result.kind = ConvKind::transposed;
    } else if (after_arrow && word[0] == 'c') {
      result.c_out = numbers(rest, '+', text).front();
    } else if (word[0] == 'n') {
      result.n = numbers(rest, 'x', text).front();
    } else if (word[0] == 'c') {
      result.c_in = numbers(rest, '+', text);
    } else if (word[0] == 'k') {
      result.geometry.kernel = axes(numbers(rest, 'x', text), 1);
    } else if (word[0] == 's') {
      result.geometry.stride = axes(numbers(rest, 'x', text), 1);
    } else if (word[0] == 'p') {
      result.geometry.padding = axes(numbers(rest, 'x', text), 0);
      has_padding = true;
    } else if (word[0] == 'r') {
      result.geometry.dilation = axes(numbers(rest, 'x', text), 1);
    } else {
      const std::vector<int64_t> sizes = numbers(word, 'x', text);
      if (sizes.size() < 2) fail(word, text);
      result.extent = axes(sizes, 1);
      has_extent = true;
    }
  }
  if (result.c_in.empty() || !has_extent || !after_arrow) fail("end", text);
  if (!has_padding) {
    const Extent3& k = result.geometry.kernel;
    result.geometry.padding = result.kind == ConvKind::transposed
                                  ? Extent3{0, 0, 0}
                                  : Extent3{(k.d - 1) / 2, (k.h - 1) / 2, (k.w - 1) / 2};
  }
  static_cast<void>(result.output_extent());  // refuses impossible geometry
  return result;
}

std::vector<std::string> layer_list_names() {
  return {"wide-unet", "paper-a", "mcnn", "transposed", "few-channels"};
}

std::vector<std::string> layer_list(const std::string& name) {
  if (name == "wide-unet") {
    return {"c1 96x96x96 -> c16",        "c16 96x96x96 -> c32",       "c32 48x48x48 -> c32",
            "c32 48x48x48 -> c64",       "c64 24x24x24 -> c64",       "c64 24x24x24 -> c128",
            "c128 12x12x12 -> c128",     "c128 12x12x12 -> c256",     "c256 6x6x6 -> c256",
            "c256 6x6x6 -> c512",        "c512+256 12x12x12 -> c256", "c256 12x12x12 -> c256",
            "c256+128 24x24x24 -> c128", "c128 24x24x24 -> c128",     "c128+64 48x48x48 -> c64",
            "c64 48x48x48 -> c64",       "c64+32 96x96x96 -> c32",    "c32 96x96x96 -> c32"};
  }
  if (name == "paper-a") {
    return {"c1 144x240x240 -> c16",    "c16 144x240x240 -> c16",    "c16 72x120x120 -> c32",
            "c32 72x120x120 -> c32",    "c32 36x60x60 -> c64",       "c64 36x60x60 -> c64",
            "c64 18x30x30 -> c128",     "c128 18x30x30 -> c128",     "c128 9x15x15 -> c256",
            "c256 9x15x15 -> c256",     "c128+128 18x30x30 -> c128", "c64+64 36x60x60 -> c64",
            "c32+32 72x120x120 -> c32", "c16+16 144x240x240 -> c16"};
  }
  if (name == "mcnn") {
    return {
        "c3 1024x1280 k1x5x5 -> c16", "c16 1024x1280 k1x5x5 -> c16", "c16 512x640 k1x5x5 -> c16",
        "c16 256x320 k1x5x5 -> c16",  "c32 128x160 k1x5x5 -> c32",   "c32 64x80 k1x5x5 -> c32",
        "c32 32x40 k1x5x5 -> c32",    "c64 16x20 k1x5x5 -> c64",     "c208 16x20 k1 -> c1024"};
  }
  if (name == "transposed") {
    return {"c256 9x15x15 k2 s2 up -> c128", "c128 18x30x30 k2 s2 up -> c64",
            "c64 36x60x60 k2 s2 up -> c32", "c32 72x120x120 k2 s2 up -> c16",
            "c64 48x48x48 k2 s2 up -> c64"};
  }
  if (name == "few-channels") {
    return {"c1 96x96x96 -> c16", "c4 96x96x96 -> c16", "c16 96x96x96 -> c1",
            "c16 96x96x96 k1 -> c1", "c32 96x96x96 k1 -> c3"};
  }
  std::string known;
  for (const std::string& one : layer_list_names()) known += (known.empty() ? "" : ", ") + one;
  throw ConfigError("no list of layers \"" + name + "\"; known: " + known);
}

}  // namespace wholemount::bench
