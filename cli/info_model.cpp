#include <map>

#include "cli/info_report.h"
#include "wholemount/base/checked.h"
#include "wholemount/base/memory.h"
#include "wholemount/exec/safetensors.h"

namespace wholemount::cli {

namespace {

// Longer metadata (a whole configuration) is shown by its beginning; JSON has all.
constexpr size_t kMetadataCharacters = 100;

int64_t num_elements(const SafetensorsFile::Entry& entry) {
  int64_t count = 1;
  for (const int64_t size : entry.shape) count = checked_multiply(count, size);
  return count;
}

std::string shortened(std::string text) {
  for (char& c : text) c = c == '\n' ? ' ' : c;
  if (text.size() <= kMetadataCharacters) return text;
  return text.substr(0, kMetadataCharacters) + " ... (" + std::to_string(text.size()) +
         " characters)";
}

}  // namespace

InfoReport describe_model(const std::string& path) {
  const SafetensorsFile file(path);
  int64_t parameters = 0;
  int64_t bytes = 0;
  std::map<std::string, int64_t> types;
  for (const SafetensorsFile::Entry& entry : file.entries()) {
    parameters = checked_add(parameters, num_elements(entry));
    bytes = checked_add(bytes, entry.bytes);
    ++types[entry.dtype];
  }
  InfoReport report;
  report.kind = "model";
  report.json["path"] = path;
  report.json["kind"] = "model";
  report.json["tensors"] = file.entries().size();
  report.json["parameters"] = parameters;
  report.json["parameter_bytes"] = bytes;
  report.json["types"] = types;
  report.json["metadata"] = file.metadata();

  report.rows.emplace_back("tensors", std::to_string(file.entries().size()));
  report.rows.emplace_back("parameters", std::to_string(parameters));
  report.rows.emplace_back("size", format_bytes(static_cast<size_t>(bytes)));
  std::string type_text;
  for (const auto& [type, count] : types) {
    type_text += (type_text.empty() ? "" : ", ") + type + " x " + std::to_string(count);
  }
  report.rows.emplace_back("types", type_text);
  for (const auto& [key, value] : file.metadata()) report.rows.emplace_back(key, shortened(value));
  return report;
}

}  // namespace wholemount::cli
