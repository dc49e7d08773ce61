#include "wholemount/report/markup.h"

#include <fmt/format.h>

#include <cmath>

namespace wholemount {

namespace {

std::string opening(std::string_view name, const Attributes& attributes) {
  std::string tag = "<" + std::string(name);
  for (const Attribute& attribute : attributes) {
    tag += " " + std::string(attribute.name) + "=\"" + escape_markup(attribute.value) + "\"";
  }
  return tag;
}

}  // namespace

std::string escape_markup(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default: {
        const auto code = static_cast<unsigned char>(c);
        escaped += (code < 0x20 && c != '\n' && c != '\t') || code == 0x7f ? ' ' : c;
      }
    }
  }
  return escaped;
}

std::string element(std::string_view name, const Attributes& attributes, std::string_view content) {
  return opening(name, attributes) + ">" + std::string(content) + "</" + std::string(name) + ">";
}

std::string text_element(std::string_view name, const Attributes& attributes,
                         std::string_view text) {
  return element(name, attributes, escape_markup(text));
}

std::string empty_element(std::string_view name, const Attributes& attributes) {
  return opening(name, attributes) + "/>";
}

std::string coordinate(double value) {
  const double rounded = std::round(value * 100) / 100;
  std::string text = fmt::format("{:.2f}", rounded == 0 ? 0.0 : rounded);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace wholemount
