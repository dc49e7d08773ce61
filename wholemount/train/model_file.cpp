#include "wholemount/train/model_file.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "wholemount/exec/safetensors.h"
#include "wholemount/train/job_from_data.h"

namespace wholemount {

namespace {

constexpr const char* kFormat = "wholemount-model";
constexpr int kVersion = 1;

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
  try {
    const nlohmann::json json = nlohmann::json::parse(entry("task"));
    json.at("in_channels").get_to(spec.task.in_channels);
    spec.task.target = json.at("target").get<std::string>() == "regions" ? TargetKind::regions
                                                                         : TargetKind::classes;
    // Models older than classification segment.
    spec.task.whole_image = json.value("whole_image", false);
    json.at("outputs").get_to(spec.task.outputs);
    json.at("label_values").get_to(spec.task.label_values);
    json.at("channel_indices").get_to(spec.task.channel_indices);
  } catch (const nlohmann::json::exception& error) {
    throw FileError(path, std::string("the metadata entry \"task\" is damaged: ") + error.what());
  }
  const auto limit = size_t{4096};
  if (spec.task.outputs.empty() || spec.task.outputs.size() > limit || spec.task.in_channels < 1 ||
      spec.task.in_channels > int64_t{4096} ||
      spec.task.label_values.size() > spec.task.outputs.size()) {
    throw FileError(path, "the metadata entry \"task\" has impossible numbers of channels");
  }
  if (needs_intensity_fit(spec.config)) {
    spec.fit = std::make_shared<const IntensityFit>(
        parse_intensity_fit(entry("intensity"), path + " (metadata entry \"intensity\")",
                            static_cast<size_t>(spec.task.in_channels)));
  }
  return spec;
}

}  // namespace wholemount
