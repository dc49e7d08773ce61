#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/classification_report.h"
#include "cli/command.h"
#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/terminal.h"
#include "wholemount/exec/safetensors.h"
#include "wholemount/predict/evaluation.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/case_evaluation.h"
#include "wholemount/train/job_from_data.h"
#include "wholemount/train/model_file.h"
#include "wholemount/train/threshold_scores.h"

namespace wholemount::cli {

namespace {

struct EvaluateOptions {
  CommonOptions common;
  std::string predictions;
  std::string reference;
  std::string data;   ///< evaluate RUN: root of the data set; empty: the run's own
  std::string split;  ///< evaluate RUN: train, validation, test
  std::string memory;
  std::vector<std::string> labels;
  bool partial = false;
  bool no_surfaces = false;
  bool baseline = false;
  double tolerance_mm = 1.0;
  std::string out;
};

// Those of the table; the JSON has all.
constexpr std::array<const char*, 7> kColumns{"Dice",     "IoU", "Sensitivity", "Precision",
                                              "Accuracy", "NSD", "HD95"};

template <class Score>
void print_row(const std::string& name, size_t width, const Score& score) {
  std::printf("%-*s", static_cast<int>(width), name.c_str());
  for (const char* column : kColumns) {
    const std::optional<double> value = score(column);
    if (value) {
      std::printf("  %11.4f", *value);
    } else {
      std::printf("  %11s", "-");
    }
  }
  std::printf("\n");
}

// `names` are those of the summary's labels, for people.
void print_summary(const std::vector<std::string>& names, const ScoreSummary& summary) {
  const std::string mean = "foreground mean";
  size_t width = mean.size();
  for (const std::string& name : names) width = std::max(width, name.size());
  std::printf("%zu cases; means over those where the metric is defined; HD95 in mm\n\n%-*s",
              summary.cases.size(), static_cast<int>(width), "label");
  for (const char* column : kColumns) std::printf("  %11s", column);
  std::printf("\n");
  for (size_t label = 0; label < names.size(); ++label) {
    print_row(names[label], width,
              [&](const char* metric) { return mean_score(summary, label, metric); });
  }
  print_row(mean, width,
            [&](const char* metric) { return foreground_mean_score(summary, metric); });
}

void report_progress(size_t done, size_t all) {
  std::fprintf(stderr, "\rread %zu of %zu%s", done, all, done == all ? "\n" : "");
}

std::string json_text(const ScoreSummary& summary, const std::vector<ThresholdScore>& baseline) {
  if (baseline.empty()) return to_json(summary) + "\n";
  auto json = nlohmann::ordered_json::parse(to_json(summary));
  for (const ThresholdScore& score : baseline) {
    json["threshold_baseline"][score.output] = {
        {"Dice", score.dice},
        {"channel", score.channel},
        {"side", score.side == ThresholdSide::above ? "above" : "below"},
        {"threshold", score.threshold}};
  }
  return json.dump(2) + "\n";
}

void print_baseline(const ScoreSummary& summary, const std::vector<ThresholdScore>& baseline) {
  std::printf(
      "\nbeside the best single threshold, largest piece kept, chosen with the truth in hand\n"
      "(sd: standard deviations above the mean of the channel's voxels that are not 0)\n\n"
      "%-24s  %11s  %11s\n",
      "Dice of", "network", "threshold");
  for (size_t label = 0; label < baseline.size(); ++label) {
    const std::optional<double> network = mean_score(summary, label, "Dice");
    std::printf("%-24s  %11s  %11.4f  %s\n", baseline[label].output.c_str(),
                network ? fmt::format("{:.4f}", *network).c_str() : "-", baseline[label].dice,
                threshold_rule(baseline[label]).c_str());
  }
}

// Writes --out and prints; the same whatever the predictions come from.
void finish_evaluation(const EvaluateOptions& options, const std::vector<std::string>& names,
                       const ScoreSummary& summary,
                       const std::vector<ThresholdScore>& baseline = {}) {
  const std::string json = json_text(summary, baseline);
  if (!options.out.empty()) write_file_atomically(options.out, json);
  if (options.common.json) {
    std::fputs(json.c_str(), stdout);
    return;
  }
  print_summary(names, summary);
  if (!baseline.empty()) print_baseline(summary, baseline);
}

void evaluate_files(const EvaluateOptions& options) {
  EvaluationSpec spec;
  spec.labels = options.labels;
  spec.partial = options.partial;
  spec.surfaces = !options.no_surfaces;
  spec.tolerance_mm = options.tolerance_mm;
  if (stderr_is_terminal()) spec.progress = report_progress;
  const Evaluation evaluation = evaluate_label_maps(options.predictions, options.reference, spec);
  std::vector<std::string> names;
  for (const EvaluationLabel& label : evaluation.labels) names.push_back(label.name);
  finish_evaluation(options, names, evaluation.summary);
}

const std::vector<int64_t>& split_part(const Split& split, const std::string& name) {
  if (name == "train") return split.train;
  if (name == "validation") return split.validation;
  if (name == "test") return split.test;
  throw ConfigError("--split " + name + ": wanted train, validation or test");
}

// Runs a model over a part of its data set's split and scores it, without writing predictions.
void evaluate_run(const EvaluateOptions& options) {
  const std::string path = model_path(options.predictions);
  ModelSpec model = read_model_spec(path);
  if (!options.data.empty()) model.config.data.root = options.data;
  DataJob data = job_from_data(model.config);
  data.evaluation_load.fit = model.fit;
  if (net_spec_text(model.config, data.job.task) != net_spec_text(model.config, model.task)) {
    throw ConfigError(path + ": the model's channels or outputs are not those of " +
                      model.config.data.root);
  }
  const int threads = thread_count(options.common);
  PlanSpec plan_spec;
  plan_spec.target = target_with(model.config.train.kernels);
  plan_spec.num_threads = threads;
  InferenceSpec inference;
  inference.target = data.job.task.target;
  inference.loss = data.job.loss;
  inference.labels = !options.no_surfaces;
  InferencePrograms programs(data.job.network, inference, plan_spec,
                             current_time_model(plan_spec.target, threads));
  EvaluationCases cases{
      data.dataset.cases, split_part(data.split, options.split), &data.evaluation_load, {}, {}};
  if (cases.indices.empty()) {
    throw ConfigError("the " + options.split + " part of the split is empty");
  }
  std::vector<Extent3> extents;
  size_t arena_bytes = 0;
  int64_t most_voxels = 0;
  for (const int64_t index : cases.indices) {
    extents.push_back(data.extents[static_cast<size_t>(index)]);
    const Extent3 padded = place_volume(extents.back(), data.evaluation_load.shape).padded;
    arena_bytes = std::max(arena_bytes, programs.get(padded).program->arena_bytes);
    most_voxels = std::max(most_voxels, volume(padded));
  }
  cases.staging = plan_staging(data.evaluation_load, extents, 2);
  if (!options.no_surfaces) cases.surface_tolerance_mm = options.tolerance_mm;
  const size_t surface_bytes = options.no_surfaces ? 0 : surface_score_bytes(most_voxels);
  // The baseline runs after the network's arena is gone.
  const size_t baseline_bytes =
      options.baseline ? threshold_scratch_bytes(data.job.task, most_voxels, threads) : 0;
  const size_t need = process_memory().resident_bytes +
                      std::max(arena_bytes + surface_bytes, baseline_bytes) +
                      cases.staging.total_bytes;
  const size_t budget =
      options.memory.empty() ? available_memory_bytes() : parse_bytes(options.memory);
  if (need > budget) {
    throw MemoryBudgetError("evaluating these cases whole needs " + format_bytes(need) +
                            ", the memory budget is " + format_bytes(budget) +
                            ". The smallest budget that works is " + std::to_string(need) +
                            " bytes");
  }
  ThreadPool pool(threads);
  ParameterStore store(
      programs.get(place_volume(extents.front(), data.evaluation_load.shape).padded)
          .graph.graph->parameters,
      {});
  load_weights(SafetensorsFile(path), store);
  ScoreSummary summary;
  {
    Session session(pool, store, arena_bytes);
    const LossAndCounts result = evaluate_cases(cases, programs, session);
    if (data.job.task.whole_image) {
      finish_classification(options.common.json, options.out, {data, cases, result});
      return;
    }
    summary = score_summary(cases, data.job.task, result);
  }
  std::vector<ThresholdScore> baseline;
  if (options.baseline) baseline = best_threshold_scores(cases, data, pool);
  finish_evaluation(options, summary.label_names, summary, baseline);
}

void run_evaluate(const EvaluateOptions& options) {
  if (!options.split.empty()) {
    if (!options.reference.empty()) {
      throw ConfigError(
          "evaluate: --split takes the labels from the data set; give either LABELS "
          "or --split");
    }
    evaluate_run(options);
    return;
  }
  if (options.baseline) {
    throw ConfigError("evaluate: --baseline needs the data set's images; use it with RUN --split");
  }
  if (options.reference.empty()) {
    throw ConfigError("evaluate: wanted the reference labels after " + options.predictions +
                      ": evaluate PREDICTIONS LABELS, or evaluate RUN --data ROOT --split NAME");
  }
  evaluate_files(options);
}

}  // namespace

void add_evaluate_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("evaluate", "metrics per case and label of predicted label maps");
  auto options = std::make_shared<EvaluateOptions>();
  command
      ->add_option("predictions", options->predictions,
                   "predicted label maps: a folder or one file (NIfTI)")
      ->required();
  command->add_option("reference", options->reference,
                      "true label maps: a folder with files of the same names, or one file");
  command
      ->add_option("--labels", options->labels,
                   "what to score: values (2), regions (1+2+3), or names the data set of the "
                   "references declares; default: every value but 0 that occurs")
      ->delimiter(',')
      ->take_all()
      ->allow_extra_args(false);
  command->add_flag("--partial", options->partial,
                    "accept references without a prediction and leave them out");
  command->add_option("--tolerance", options->tolerance_mm, "of NSD, in mm (default: 1)")
      ->check(CLI::NonNegativeNumber);
  command->add_flag(
      "--no-surfaces", options->no_surfaces,
      "leave NSD and HD95 out, which take a second reading of label maps, or 16 bytes a "
      "voxel with --split");
  command->add_option("--split", options->split,
                      "PREDICTIONS is a run folder or model: run it over this part of the split "
                      "(train, validation, test) of its data set");
  command->add_option("--data", options->data, "with --split: the data set's folder");
  command->add_flag("--baseline", options->baseline,
                    "with --split: also score the best threshold on any one channel, which a "
                    "network has to beat");
  command->add_option("--memory", options->memory, "with --split: memory budget, e.g. 8G");
  command->add_option("--out", options->out, "also write the JSON to this file");
  add_common_options(*command, options->common);
  command->footer(
      "The JSON has the shape of nnU-Net's summary.json; an undefined metric (Dice of a label "
      "that\n"
      "is neither predicted nor there) is null and stays out of the means.\n"
      "Examples:\n"
      "  wholemount evaluate predictions Task04_Hippocampus/labelsTr --partial\n"
      "  wholemount evaluate predictions labels --labels 1+2+3,2+3,3 --out summary.json\n"
      "  wholemount evaluate runs/hippocampus --data Task04_Hippocampus --split validation\n"
      "  wholemount evaluate runs/phantoms --split validation --baseline\n"
      "  wholemount evaluate scan_prediction.nii.gz scan_label.nii.gz --json\n"
      "Exit 3 when files are missing, damaged, or lie on different grids.");
  command->callback([options] { run_evaluate(*options); });
}

}  // namespace wholemount::cli
