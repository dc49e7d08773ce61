#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/job_options.h"
#include "wholemount/base/memory.h"
#include "wholemount/exec/safetensors.h"
#include "wholemount/predict/predict_classes.h"
#include "wholemount/predict/predict_files.h"
#include "wholemount/predict/prediction_inputs.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/job_from_data.h"
#include "wholemount/train/model_file.h"

namespace wholemount::cli {

namespace {

struct PredictOptions {
  CommonOptions common;
  std::string model;
  std::vector<std::string> inputs;
  std::string out;
  std::string memory;
  std::string spill;
  std::string kernels;
  bool probabilities = false;
};

/// A prediction that is ready to run.
struct PreparedPrediction {
  const PredictSpec& spec;
  const PredictPlan& plan;
  const std::vector<Case>& cases;
  InferencePrograms& programs;
  ParameterStore& store;
  ThreadPool& pool;
};

void classify(const PredictOptions& options, const ModelSpec& model,
              const PreparedPrediction& ready) {
  const std::vector<std::string>& classes = model.task.outputs;
  const auto class_of = [&](const PredictedClass& image) -> const std::string& {
    return classes[static_cast<size_t>(image.class_index)];
  };
  size_t done = 0;
  const std::vector<PredictedClass> images = predict_classes(
      ready.spec, ready.plan, ready.cases, ready.programs, ready.store, ready.pool,
      [&](const PredictedClass& image) {
        ++done;
        std::fprintf(stderr, "%zu/%zu %s: %s (%s)\n", done, ready.cases.size(), image.id.c_str(),
                     class_of(image).c_str(), format_duration(image.seconds).c_str());
      });
  std::error_code error;
  std::filesystem::create_directories(options.out, error);
  if (error) throw OutputError(options.out, "cannot make the folder: " + error.message());
  const std::string table = (std::filesystem::path(options.out) / "predictions.csv").string();
  write_predicted_classes(table, classes, images);
  const size_t measured = process_memory().peak_resident_bytes;
  if (!options.common.json) {
    std::printf("%zu images in %s, peak memory %s (predicted %s)\n", images.size(), table.c_str(),
                format_bytes(measured).c_str(), format_bytes(ready.plan.peak_bytes()).c_str());
    return;
  }
  nlohmann::ordered_json json;
  json["cases"] = nlohmann::ordered_json::array();
  for (const PredictedClass& image : images) {
    json["cases"].push_back({{"input", image.input},
                             {"output", table},
                             {"id", image.id},
                             {"class", class_of(image)},
                             {"probabilities", image.probabilities},
                             {"seconds", image.seconds}});
  }
  json["predicted_peak_bytes"] = ready.plan.peak_bytes();
  json["measured_peak_bytes"] = measured;
  std::printf("%s\n", json.dump(2).c_str());
}

void run_predict(const PredictOptions& options) {
  const std::string path = model_path(options.model);
  const ModelSpec model = read_model_spec(path);
  const int threads = thread_count(options.common);
  PredictSpec spec;
  spec.network = network_from_config(model.config.net, model.task);
  spec.target = model.task.target;
  spec.label_values = model.task.label_values;
  spec.probabilities = options.probabilities;
  spec.out_folder = options.out;
  spec.spill_folder = options.spill;
  std::vector<int64_t> channels;
  for (int64_t i = 0; i < model.task.in_channels; ++i) {
    channels.push_back(i);
  }
  spec.load = load_spec_from_config(model.config, spec.network.divisor, channels);
  spec.load.fit = model.fit;

  const std::vector<Case> cases =
      prediction_inputs(options.inputs, {model.task.in_channels, model.task.channel_indices,
                                         model.config.data.channels, model.task.whole_image});
  PlanSpec plan_spec;
  plan_spec.target =
      target_with(options.kernels.empty() ? model.config.train.kernels
                                          : kernel_choice_named(options.kernels, "--kernels"));
  plan_spec.num_threads = threads;
  plan_spec.spill = !options.spill.empty();
  InferenceSpec inference;
  inference.target = spec.target;
  inference.probabilities = spec.probabilities || model.task.whole_image;
  InferencePrograms programs(spec.network, inference, plan_spec,
                             current_time_model(plan_spec.target, threads));
  // A network of whole images has weights for its images' shape.
  const Extent3 first = read_case_headers(std::span(cases).first(1)).extents.front();
  const std::vector<ParameterSpec> parameters =
      programs.get(place_volume(first, spec.load.shape).padded).graph.graph->parameters;
  const size_t budget =
      options.memory.empty() ? available_memory_bytes() : parse_bytes(options.memory);
  const PredictPlan plan = plan_prediction(spec, cases, programs, parameters, budget);
  check_budget(plan);
  ThreadPool pool(threads);
  ParameterStore store(parameters, {});
  load_weights(SafetensorsFile(path), store);
  if (model.task.whole_image) {
    classify(options, model, {spec, plan, cases, programs, store, pool});
    return;
  }
  size_t done = 0;
  const std::vector<PredictedFile> files =
      predict_files(spec, plan, cases, programs, store, pool, [&](const PredictedFile& file) {
        ++done;
        std::fprintf(stderr, "%zu/%zu %s (%s)\n", done, cases.size(), file.output.c_str(),
                     format_duration(file.seconds).c_str());
      });
  const size_t measured = process_memory().peak_resident_bytes;
  if (options.common.json) {
    nlohmann::ordered_json json;
    json["cases"] = nlohmann::ordered_json::array();
    for (const PredictedFile& file : files) {
      nlohmann::ordered_json entry = {
          {"input", file.input}, {"output", file.output}, {"seconds", file.seconds}};
      if (!file.probabilities.empty()) {
        entry["probabilities"] = file.probabilities;
      }
      json["cases"].push_back(entry);
    }
    json["predicted_peak_bytes"] = plan.peak_bytes();
    json["measured_peak_bytes"] = measured;
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("%zu images, peak memory %s (predicted %s)\n", files.size(),
                format_bytes(measured).c_str(), format_bytes(plan.peak_bytes()).c_str());
  }
}

}  // namespace

void add_predict_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("predict", "segment or classify whole images with a trained model");
  auto options = std::make_shared<PredictOptions>();
  command->add_option("model", options->model, "model.safetensors or a run folder")->required();
  command
      ->add_option(
          "inputs", options->inputs,
          "images, folders of them (CASE_0000.nii.gz, CASE_0001 ...: channels), or data sets")
      ->required()
      ->expected(1, -1);
  command
      ->add_option("--out", options->out,
                   "folder for the label maps, or predictions.csv of classes")
      ->required();
  command->add_option("--memory", options->memory, "memory budget of the whole process, e.g. 8G");
  command->add_option("--spill", options->spill,
                      "folder on a local disk for values the budget has no room for");
  command->add_option(
      "--kernels", options->kernels,
      "direct, winograd2, winograd24, winograd4 or reference (default: the model's)");
  command->add_flag("--probabilities", options->probabilities,
                    "also write the probability of every output");
  add_common_options(*command, options->common);
  command->footer(
      "Examples:\n"
      "  wholemount predict runs/hippocampus scan.nii.gz --out predictions\n"
      "  wholemount predict model.safetensors imagesTs --out predictions --memory 4G --json\n"
      "  wholemount predict runs/brats /data/BraTS2021_Validation --out predictions\n"
      "  wholemount predict model.safetensors scan.nii.gz --out predictions --memory 500M \\\n"
      "      --spill /scratch");
  command->callback([options] { run_predict(*options); });
}

}  // namespace wholemount::cli
