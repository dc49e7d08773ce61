#include <filesystem>
#include <fstream>

#include "cli/info_report.h"
#include "wholemount/base/error.h"

namespace wholemount::cli {

namespace {

using Json = nlohmann::ordered_json;

std::optional<Json> read_summary(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "summary.json";
  if (!std::filesystem::exists(path)) return std::nullopt;
  std::ifstream file(path);
  if (!file) throw FileError(path.string(), "cannot be opened");
  try {
    Json json = Json::parse(file);
    if (!json.is_object()) throw FileError(path.string(), "is not a JSON object");
    return json;
  } catch (const Json::parse_error& error) {
    throw FileError(path.string(), static_cast<int64_t>(error.byte),
                    "is damaged: not valid JSON; train --resume writes it again");
  } catch (const Json::exception& error) {
    // Numbers beyond float64 are no syntax error to the parser.
    throw FileError(path.string(), std::string("is damaged: ") + error.what());
  }
}

void add_summary(const Json& summary, InfoReport& report) {
  for (const auto& [key, value] : summary.items()) {
    report.json[key] = value;
    if (value.is_object()) {
      for (const auto& [name, inner] : value.items()) {
        report.rows.emplace_back(key + "." + name, inner.dump());
      }
    } else {
      report.rows.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
}

}  // namespace

bool is_run_folder(const std::string& path) {
  const std::filesystem::path folder(path);
  if (!std::filesystem::is_directory(folder)) return false;
  for (const char* name : {"config.toml", "model.safetensors", "log.jsonl", "checkpoint"}) {
    if (std::filesystem::exists(folder / name)) return true;
  }
  return false;
}

InfoReport describe_run(const std::string& path) {
  const std::filesystem::path folder(path);
  InfoReport report;
  report.kind = "run";
  report.json["path"] = path;
  report.json["kind"] = "run";
  if (const std::optional<Json> summary = read_summary(folder)) {
    add_summary(*summary, report);
  } else {
    report.json["status"] = "unfinished";
    report.rows.emplace_back("status", "unfinished: no summary.json yet");
  }
  const bool checkpoint = std::filesystem::exists(folder / "checkpoint");
  report.json["checkpoint"] = checkpoint;
  report.rows.emplace_back("checkpoint", checkpoint ? "yes" : "none");
  const std::string model = (folder / "model.safetensors").string();
  if (std::filesystem::exists(model)) {
    const InfoReport inner = describe_model(model);
    report.json["model"] = inner.json;
    for (const auto& [name, text] : inner.rows) report.rows.emplace_back("model " + name, text);
  }
  return report;
}

}  // namespace wholemount::cli
