#pragma once

// Private to this folder's .cpp files.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace wholemount {

/// Parses a JSON file of at most 64 MiB; keys keep their order. Throws FileError with the byte
/// offset of a syntax error.
[[nodiscard]] nlohmann::ordered_json read_json_file(const std::string& path);

/// A member of an object; FileError when it is missing.
[[nodiscard]] const nlohmann::ordered_json& json_member(const nlohmann::ordered_json& object,
                                                        const char* key, const std::string& path);

/// The text a value holds; FileError naming `what` when it is none.
[[nodiscard]] std::string json_text(const nlohmann::ordered_json& value, const std::string& path,
                                    const std::string& what);

/// The names of channels in {"0": "FLAIR", "1": "T1w"}; `key` is what the object is called.
/// FileError when the keys are not 0, 1, 2 ...
[[nodiscard]] std::vector<std::string> json_channel_names(const nlohmann::ordered_json& object,
                                                          const std::string& key,
                                                          const std::string& path);

/// The number a text consists of, e.g. a JSON key "3"; FileError naming `path` and `what`
/// otherwise.
[[nodiscard]] int64_t parse_index(const std::string& text, const std::string& path,
                                  const std::string& what);

}  // namespace wholemount
