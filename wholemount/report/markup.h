#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wholemount {

/// Text as it may stand in HTML or SVG, inside an element or a quoted attribute: & < > " ' become
/// entities, control characters (but line feeds and tabs) become blanks.
[[nodiscard]] std::string escape_markup(std::string_view text);

struct Attribute {
  std::string_view name;
  std::string value;  ///< not yet escaped
};
using Attributes = std::vector<Attribute>;

/// <name attributes>content</name>. `content` is markup and taken as it is; escape plain text
/// first. Elements made this way are always balanced.
[[nodiscard]] std::string element(std::string_view name, const Attributes& attributes,
                                  std::string_view content);
[[nodiscard]] inline std::string element(std::string_view name, std::string_view content) {
  return element(name, {}, content);
}

/// The same around plain text, which is escaped.
[[nodiscard]] std::string text_element(std::string_view name, const Attributes& attributes,
                                       std::string_view text);
[[nodiscard]] inline std::string text_element(std::string_view name, std::string_view text) {
  return text_element(name, {}, text);
}

/// <name attributes/>
[[nodiscard]] std::string empty_element(std::string_view name, const Attributes& attributes);

/// A coordinate for SVG: at most two decimals, no exponent, never "-0".
[[nodiscard]] std::string coordinate(double value);

}  // namespace wholemount
