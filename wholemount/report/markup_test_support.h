#pragma once

// Only for the tests of this folder: a small checker of markup.

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

namespace wholemount::testing {

/// What is wrong with the nesting of elements and the quoting of attributes in `markup`; empty when
/// nothing is. Every element must be closed by name or by "/>"; the contents of script and style
/// are skipped, a doctype is allowed.
inline std::string markup_error(std::string_view markup) {
  std::vector<std::string> open;
  size_t at = 0;
  while ((at = markup.find('<', at)) != std::string_view::npos) {
    const std::string_view rest = markup.substr(at);
    if (rest.starts_with("<!DOCTYPE")) {
      at += 9;
      continue;
    }
    const bool closing = rest.starts_with("</");
    size_t end = at + (closing ? 2 : 1);
    const size_t name_begin = end;
    while (end < markup.size() && (std::isalnum(static_cast<unsigned char>(markup[end])) != 0))
      ++end;
    const std::string name(markup.substr(name_begin, end - name_begin));
    if (name.empty()) return "stray < before: " + std::string(rest.substr(0, 40));
    bool quoted = false;
    for (; end < markup.size() && (quoted || markup[end] != '>'); ++end) {
      if (markup[end] == '"') quoted = !quoted;
      if (quoted && markup[end] == '<') return "< inside an attribute of " + name;
    }
    if (end >= markup.size()) return "tag without end: " + name;
    if (closing) {
      if (open.empty() || open.back() != name) {
        return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
      }
      open.pop_back();
    } else if (markup[end - 1] != '/') {
      open.push_back(name);
      if (name == "script" || name == "style") {
        end = markup.find("</" + name, end);
        if (end == std::string_view::npos) return name + " without end";
        at = end;
        continue;
      }
    }
    at = end + 1;
  }
  return open.empty() ? "" : "never closed: " + open.back();
}

}  // namespace wholemount::testing
