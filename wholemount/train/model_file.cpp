#include "wholemount/train/model_file.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "wholemount/base/json_integer.h"
#include "wholemount/base/nesting.h"
#include "wholemount/exec/safetensors.h"
#include "wholemount/train/job_from_data.h"

namespace wholemount {

namespace {

constexpr const char* kFormat = "wholemount-model";
constexpr int kVersion = 1;
constexpr int64_t kMostChannels = 4096;

TaskSpec parse_task(const std::string& text, const std::string& path) {
  const auto damaged = [&](const std::string& what) {
    return FileError(path, "the metadata entry \"task\" is damaged: " + what);
  };
  const auto number = [&](const nlohmann::json& value, const char* what, int64_t least,
                          int64_t most) {
    const auto found = json_integer(value);
    if (!found || *found < least || *found > most) {
      throw damaged(std::string(what) + " is not a whole number from " + std::to_string(least) +
                    " to " + std::to_string(most));
    }
    return *found;
  };
  if (json_nesting(text) > kDeepestNesting) throw damaged("nested too deeply");
  TaskSpec task;
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    task.in_channels = number(json.at("in_channels"), "in_channels", 1, kMostChannels);
    task.target = json.at("target").get<std::string>() == "regions" ? TargetKind::regions
                                                                    : TargetKind::classes;
    // Models older than classification segment.
    task.whole_image = json.value("whole_image", false);
    json.at("outputs").get_to(task.outputs);
    // A loop over a single number would take it for a list of one.
    for (const char* key : {"label_values", "channel_indices"}) {
      if (!json.at(key).is_array()) throw damaged(std::string(key) + " is not a list");
    }
    for (const auto& value : json.at("label_values")) {
      task.label_values.push_back(static_cast<uint8_t>(number(value, "a label value", 0, 255)));
    }
    for (const auto& value : json.at("channel_indices")) {
      task.channel_indices.push_back(number(value, "a channel index", 0, kMostChannels - 1));
    }
  } catch (const nlohmann::json::exception& error) {
    throw damaged(error.what());
  }
  if (task.outputs.empty() || task.outputs.size() > static_cast<size_t>(kMostChannels) ||
      task.label_values.size() > task.outputs.size()) {
    throw damaged("impossible numbers of channels");
  }
  return task;
}

}  // namespace

std::string net_spec_text(const RunConfig& config, const TaskSpec& task) {
  nlohmann::ordered_json json;
  RunConfig only_net;
  only_net.net = config.net;
  // Everything but [net] is at its default, so the text changes with the network alone.
  json["net"] = to_toml(only_net);
  json["in_channels"] = task.in_channels;
  json["target"] = task.target == TargetKind::regions ? "regions" : "classes";
  json["whole_image"] = task.whole_image;
  json["outputs"] = task.outputs;
  return json.dump();
}

void save_model(const std::string& path, const ModelSpec& spec, const ParameterStore& store) {
  const TaskSpec& task = spec.task;
  nlohmann::ordered_json json;
  json["in_channels"] = task.in_channels;
  json["target"] = task.target == TargetKind::regions ? "regions" : "classes";
  json["whole_image"] = task.whole_image;
  json["outputs"] = task.outputs;
  json["label_values"] = task.label_values;
  json["channel_indices"] = task.channel_indices;
  std::map<std::string, std::string> metadata{{"format", kFormat},
                                              {"version", std::to_string(kVersion)},
                                              {"config", to_toml(spec.config)},
                                              {"task", json.dump()}};
  if (spec.fit) metadata["intensity"] = to_json(*spec.fit);
  save_weights(path, store, metadata);
}

std::string model_path(const std::string& model_or_run) {
  std::error_code ignored;
  if (std::filesystem::is_directory(model_or_run, ignored)) {
    return (std::filesystem::path(model_or_run) / "model.safetensors").string();
  }
  return model_or_run;
}

ModelSpec read_model_spec(const std::string& path) {
  const SafetensorsFile file(path);
  const auto& metadata = file.metadata();
  const auto entry = [&](const std::string& key) -> const std::string& {
    const auto found = metadata.find(key);
    if (found == metadata.end()) {
      throw FileError(path, "not a Wholemount model: its metadata has no \"" + key +
                                "\"; give a model.safetensors written by `wholemount train`");
    }
    return found->second;
  };
  if (entry("format") != kFormat) {
    throw FileError(path, "not a Wholemount model: metadata format is \"" + entry("format") + "\"");
  }
  if (entry("version") != std::to_string(kVersion)) {
    throw ConfigError(path + ": model version " + entry("version") +
                      "; this program reads version " + std::to_string(kVersion) +
                      ": use the program that wrote it");
  }
  ModelSpec spec;
  spec.config = parse_config(entry("config"), path + " (metadata)");
  spec.task = parse_task(entry("task"), path);
  if (needs_intensity_fit(spec.config)) {
    spec.fit = std::make_shared<const IntensityFit>(
        parse_intensity_fit(entry("intensity"), path + " (metadata entry \"intensity\")",
                            static_cast<size_t>(spec.task.in_channels)));
  }
  return spec;
}

}  // namespace wholemount
