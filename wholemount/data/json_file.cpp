#include "wholemount/data/json_file.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>

#include "wholemount/base/error.h"
#include "wholemount/base/nesting.h"

namespace wholemount {

namespace {
constexpr int64_t kMostBytes = int64_t{64} << 20;
}

nlohmann::ordered_json read_json_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (!file || error) throw FileError(path, "cannot be opened");
  if (size > kMostBytes) throw FileError(path, "is larger than 64 MiB; not a data set description");
  std::string text(static_cast<size_t>(size), '\0');
  file.read(text.data(), size);
  text.resize(static_cast<size_t>(file.gcount()));
  if (json_nesting(text) > kDeepestNesting) {
    throw FileError(path, "is nested more than " + std::to_string(kDeepestNesting) +
                              " deep; not a data set description");
  }
  try {
    return nlohmann::ordered_json::parse(text);
  } catch (const nlohmann::json::parse_error& parse_error) {
    throw FileError(path, static_cast<int64_t>(parse_error.byte),
                    std::string("not valid JSON: ") + parse_error.what());
  } catch (const nlohmann::json::exception& refusal) {
    // Numbers beyond float64 are no syntax error to the parser.
    throw FileError(path, std::string("not valid JSON: ") + refusal.what());
  }
}

const nlohmann::ordered_json& json_member(const nlohmann::ordered_json& object, const char* key,
                                          const std::string& path) {
  const auto found = object.find(key);
  if (found == object.end()) {
    throw FileError(path, std::string("the key \"") + key + "\" is missing");
  }
  return *found;
}

std::string json_text(const nlohmann::ordered_json& value, const std::string& path,
                      const std::string& what) {
  if (!value.is_string()) throw FileError(path, what + " is not a text");
  return value.get<std::string>();
}

std::vector<std::string> json_channel_names(const nlohmann::ordered_json& object,
                                            const std::string& key, const std::string& path) {
  if (!object.is_object()) throw FileError(path, "\"" + key + "\" is not an object");
  std::map<int64_t, std::string> by_index;
  for (const auto& [index, name] : object.items()) {
    by_index[parse_index(index, path, "the " + key + " key")] =
        json_text(name, path, "a name of \"" + key + "\"");
  }
  std::vector<std::string> names;
  for (const auto& [index, name] : by_index) {
    if (index != static_cast<int64_t>(names.size())) {
      throw FileError(path, "the " + key + " keys are not 0, 1, 2 ...");
    }
    names.push_back(name);
  }
  if (names.empty()) throw FileError(path, "\"" + key + "\" names no channel");
  return names;
}

int64_t parse_index(const std::string& text, const std::string& path, const std::string& what) {
  int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) {
    throw FileError(path, what + " \"" + text + "\" is not a whole number");
  }
  return value;
}

}  // namespace wholemount
