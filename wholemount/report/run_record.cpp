#include "wholemount/report/run_record.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "wholemount/base/error.h"
#include "wholemount/train/run_folder.h"

namespace wholemount {

namespace {

using Json = nlohmann::json;

std::optional<std::string> read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

double number(const Json& object, const char* key, double absent = NAN) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : absent;
}

size_t byte_count(const Json& object, const char* key) {
  return static_cast<size_t>(std::max(0.0, number(object, key, 0)));
}

int64_t count(const Json& object, const char* key) {
  return static_cast<int64_t>(number(object, key, 0));
}

/// The JSON object in a file of the run folder; none when the file is not there.
std::optional<Json> read_object(const std::filesystem::path& path) {
  const std::optional<std::string> text = read_text(path);
  if (!text) return std::nullopt;
  Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object()) {
    throw FileError(path.string(), "not a JSON object; is this the folder of a run?");
  }
  return json;
}

RecordedPlan plan_of(const Json& json) {
  RecordedPlan plan;
  plan.parameters = count(json, "parameters");
  if (const auto input = json.find("input"); input != json.end() && input->is_array()) {
    for (const Json& size : *input) {
      plan.input.push_back(size.is_number_integer() ? size.get<int64_t>() : 0);
    }
  }
  plan.peak_bytes = byte_count(json, "peak_bytes");
  plan.arena_bytes = byte_count(json, "arena_bytes");
  plan.parameter_bytes = byte_count(json, "parameter_bytes");
  plan.gradient_bytes = byte_count(json, "gradient_bytes");
  plan.optimiser_bytes = byte_count(json, "optimiser_bytes");
  plan.data_bytes = byte_count(json, "data_bytes");
  plan.step_flops = number(json, "step_flops", 0);
  plan.step_seconds = number(json, "step_seconds", 0);
  plan.total_seconds = number(json, "total_seconds", 0);
  return plan;
}

RecordedSummary summary_of(const Json& json) {
  RecordedSummary summary;
  summary.status = json.value("status", "unknown");
  summary.epochs = count(json, "epochs");
  summary.steps = count(json, "steps");
  summary.measured_peak_bytes = byte_count(json, "measured_peak_bytes");
  summary.measured_step_seconds = number(json, "measured_step_seconds", 0);
  summary.seconds = number(json, "seconds", 0);
  summary.weights_digest = json.value("weights_digest", "");
  return summary;
}

/// A square of counts; empty where there is none or it is malformed.
std::vector<std::vector<int64_t>> confusion_of(const Json& line) {
  std::vector<std::vector<int64_t>> rows;
  const auto found = line.find("confusion");
  if (found == line.end() || !found->is_array()) return {};
  for (const Json& row : *found) {
    if (!row.is_array() || row.size() != found->size()) return {};
    std::vector<int64_t>& counts = rows.emplace_back();
    for (const Json& value : row) {
      counts.push_back(value.is_number_integer() ? value.get<int64_t>() : 0);
    }
  }
  return rows;
}

void read_log(const std::filesystem::path& path, RunRecord& record) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object()) continue;  // torn by a crash
    const std::string kind = json.value("kind", "");
    const auto leaks = json.find("split_leaks");
    if (leaks != json.end() && leaks->is_boolean()) record.split_leaks |= leaks->get<bool>();
    if (kind == "step") {
      record.steps.push_back({count(json, "step"), number(json, "loss"), number(json, "rate"),
                              number(json, "seconds")});
    } else if (kind == "evaluation") {
      LoggedEvaluation evaluation{
          count(json, "step"), count(json, "epoch"), number(json, "loss"), {}, {}};
      evaluation.confusion = confusion_of(json);
      if (const auto metrics = json.find("metrics"); metrics != json.end()) {
        for (const auto& [name, value] : metrics->items()) {
          evaluation.metrics[name] = value.is_number() ? value.get<double>() : NAN;
        }
      }
      record.evaluations.push_back(std::move(evaluation));
    }
  }
}

}  // namespace

size_t RecordedPlan::other_bytes() const {
  const size_t items =
      arena_bytes + parameter_bytes + gradient_bytes + optimiser_bytes + data_bytes;
  return peak_bytes > items ? peak_bytes - items : 0;
}

double RunRecord::median_step_seconds() const {
  std::vector<double> seconds;
  for (const LoggedStep& step : steps) {
    if (std::isfinite(step.seconds)) seconds.push_back(step.seconds);
  }
  if (seconds.empty()) return 0;
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

RunRecord read_run_record(const std::string& folder) {
  const std::filesystem::path path(folder);
  RunRecord record;
  record.folder = folder;
  record.name = std::filesystem::absolute(path).lexically_normal().filename().string();
  if (record.name.empty()) {  // "runs/last/"
    record.name = std::filesystem::absolute(path).lexically_normal().parent_path().filename();
  }
  const std::optional<std::string> config = read_text(path / RunFolderNames::kConfig);
  if (!config) {
    throw FileError((path / RunFolderNames::kConfig).string(),
                    "cannot be read; wanted the folder that `wholemount train --out` wrote");
  }
  record.config_text = *config;
  record.config = parse_config(*config, (path / RunFolderNames::kConfig).string());
  if (const auto json = read_object(path / RunFolderNames::kPlan)) record.plan = plan_of(*json);
  if (const auto json = read_object(path / RunFolderNames::kSummary)) {
    record.summary = summary_of(*json);
  }
  read_log(path / RunFolderNames::kLog, record);
  return record;
}

}  // namespace wholemount
