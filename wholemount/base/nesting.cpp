#include "wholemount/base/nesting.h"

#include <algorithm>

namespace wholemount {

int64_t json_nesting(std::string_view text) {
  int64_t depth = 0;
  int64_t deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      deepest = std::max(deepest, ++depth);
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return deepest;
}

int64_t toml_key_nesting(std::string_view text) {
  int64_t dots = 0;
  int64_t most = 0;
  for (const char c : text) {
    if (c == '.') {
      most = std::max(most, ++dots);
    } else if (c == '\n' || c == ',' || c == '=' || c == '{' || c == '}') {
      dots = 0;
    }
  }
  return most;
}

}  // namespace wholemount
