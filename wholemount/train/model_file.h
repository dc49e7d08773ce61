#pragma once

#include <memory>
#include <string>

#include "wholemount/data/intensity_fit.h"
#include "wholemount/exec/parameter_store.h"
#include "wholemount/train/config.h"
#include "wholemount/train/job.h"

namespace wholemount {

/// What a model file says about its network: enough to build it and to prepare images for it.
struct ModelSpec {
  RunConfig config;
  TaskSpec task;
  /// Of models whose images are scaled by fitted numbers (needs_intensity_fit); else null.
  std::shared_ptr<const IntensityFit> fit;
};

/// Text that says which network this is: equal text, equal parameters and meaning of the outputs.
[[nodiscard]] std::string net_spec_text(const RunConfig& config, const TaskSpec& task);

/// Writes weights and spec (format "wholemount-model", version 1; the spec is JSON and TOML in the
/// safetensors metadata). Throws OutputError.
void save_model(const std::string& path, const ModelSpec& spec, const ParameterStore& store);

/// Reads the spec of a model file, or of a run folder's model.safetensors. Throws FileError when it
/// is missing, damaged or not a model of ours, ConfigError for a newer version.
[[nodiscard]] ModelSpec read_model_spec(const std::string& path);

/// The model file that `model_or_run` names: itself, or model.safetensors in the folder.
[[nodiscard]] std::string model_path(const std::string& model_or_run);

}  // namespace wholemount
