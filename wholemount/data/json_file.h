#pragma once

// Private to this folder's .cpp files.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

namespace wholemount {

/// Parses a JSON file of at most 64 MiB; keys keep their order. Throws FileError with the byte
/// offset of a syntax error.
[[nodiscard]] nlohmann::ordered_json read_json_file(const std::string& path);

/// The number a text consists of, e.g. a JSON key "3"; FileError naming `path` and `what`
/// otherwise.
[[nodiscard]] int64_t parse_index(const std::string& text, const std::string& path,
                                  const std::string& what);

}  // namespace wholemount
