#include "wholemount/data/json_file.h"

#include <charconv>
#include <filesystem>
#include <fstream>

#include "wholemount/base/error.h"

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
  try {
    return nlohmann::ordered_json::parse(text);
  } catch (const nlohmann::json::parse_error& parse_error) {
    throw FileError(path, static_cast<int64_t>(parse_error.byte),
                    std::string("not valid JSON: ") + parse_error.what());
  }
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
