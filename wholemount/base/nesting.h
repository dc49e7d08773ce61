#pragma once

#include <cstdint>
#include <string_view>

namespace wholemount {

/// Deepest nesting the program reads. Parsers and destructors of documents recurse, so deeper ones,
/// which nobody writes by hand or program, would run out of stack.
constexpr int64_t kDeepestNesting = 256;

/// How deeply [ and { are nested in a JSON text, outside its strings. Any text will do.
[[nodiscard]] int64_t json_nesting(std::string_view text);

/// The most dots in one dotted TOML key (a.b.c is a table in a table). Counts dots between line
/// ends, commas, braces and equals signs, so that a value with hundreds of dots counts as well.
[[nodiscard]] int64_t toml_key_nesting(std::string_view text);

}  // namespace wholemount
