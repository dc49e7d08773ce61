#include "cli/classification_report.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "wholemount/base/atomic_file.h"
#include "wholemount/metrics/classification.h"
#include "wholemount/train/classification_scores.h"

namespace wholemount::cli {

namespace {

using Json = nlohmann::ordered_json;

/// Mean features of each treatment; empty where the data set knows no treatments.
std::vector<TreatmentProfile> treatment_profiles(const ClassificationResult& evaluated) {
  std::map<std::string, TreatmentProfile> profiles;
  std::map<std::string, int64_t> counts;
  for (size_t i = 0; i < evaluated.cases.indices.size(); ++i) {
    const Case& image = evaluated.cases.cases[static_cast<size_t>(evaluated.cases.indices[i])];
    const auto treatment = image.groups.find("treatment");
    const auto compound = image.groups.find("compound");
    if (treatment == image.groups.end() || compound == image.groups.end()) return {};
    const std::vector<float>& features = evaluated.result.samples[i].features;
    TreatmentProfile& profile = profiles[treatment->second];
    if (profile.features.empty()) {
      profile.compound = compound->second;
      const auto batch = image.groups.find("batch");
      profile.batch = batch == image.groups.end() ? "" : batch->second;
      profile.mechanism = evaluated.data.dataset.classes[static_cast<size_t>(image.class_index)];
      profile.features.assign(features.size(), 0.0);
    }
    for (size_t k = 0; k < features.size(); ++k) {
      profile.features[k] += static_cast<double>(features[k]);
    }
    ++counts[treatment->second];
  }
  std::vector<TreatmentProfile> list;
  for (auto& [name, profile] : profiles) {
    for (double& value : profile.features) value /= static_cast<double>(counts[name]);
    // Untreated cells are the background of every plate, not a treatment.
    if (profile.compound != "DMSO") list.push_back(std::move(profile));
  }
  return list;
}

Json json_of(const ClassificationResult& evaluated, const ConfusionMatrix& matrix,
             const Scores& scores) {
  const TaskSpec& task = evaluated.data.job.task;
  Json json;
  json["images"] = matrix.total();
  json["right"] = matrix.right();
  if (evaluated.data.leaks) {
    json["split_leaks"] = true;
    json["warning"] = kLeakWarning;
  }
  json["loss"] = evaluated.result.mean_loss();
  json["metrics"] = Json::object();
  for (const auto& [name, value] : scores) {
    json["metrics"][name] = value ? Json(*value) : Json(nullptr);
  }
  json["classes"] = task.outputs;
  json["confusion"] = Json::array();
  for (int64_t truth = 0; truth < matrix.classes(); ++truth) {
    Json row = Json::array();
    for (int64_t called = 0; called < matrix.classes(); ++called) {
      row.push_back(matrix.at(truth, called));
    }
    json["confusion"].push_back(std::move(row));
  }
  json["metric_per_case"] = Json::array();
  for (size_t i = 0; i < evaluated.cases.indices.size(); ++i) {
    const Case& image = evaluated.cases.cases[static_cast<size_t>(evaluated.cases.indices[i])];
    const std::vector<float>& logits = evaluated.result.samples[i].logits;
    const auto called = std::max_element(logits.begin(), logits.end()) - logits.begin();
    json["metric_per_case"].push_back(
        {{"id", image.id},
         {"class", task.outputs[static_cast<size_t>(image.class_index)]},
         {"called", task.outputs[static_cast<size_t>(called)]},
         {"logits", logits}});
  }
  return json;
}

void print_matrix(const TaskSpec& task, const ConfusionMatrix& matrix) {
  size_t width = 5;
  for (const std::string& name : task.outputs) width = std::max(width, name.size());
  std::printf("\n%-*s  recall  called\n", static_cast<int>(width), "class");
  for (int64_t truth = 0; truth < matrix.classes(); ++truth) {
    std::printf("%-*s", static_cast<int>(width), task.outputs[static_cast<size_t>(truth)].c_str());
    const int64_t all = matrix.of_class(truth);
    if (all > 0) {
      std::printf("  %6.3f ",
                  static_cast<double>(matrix.at(truth, truth)) / static_cast<double>(all));
    } else {
      std::printf("  %6s ", "-");
    }
    for (int64_t called = 0; called < matrix.classes(); ++called) {
      std::printf(" %4lld", static_cast<long long>(matrix.at(truth, called)));
    }
    std::printf("\n");
  }
}

}  // namespace

void finish_classification(bool json, const std::string& out,
                           const ClassificationResult& evaluated) {
  const TaskSpec& task = evaluated.data.job.task;
  const ConfusionMatrix matrix = confusion_matrix(task, evaluated.result.samples);
  const Scores scores = classification_scores(task, evaluated.result.samples);
  Json document = json_of(evaluated, matrix, scores);
  std::vector<std::pair<std::string, NeighbourScore>> neighbours;
  const std::vector<TreatmentProfile> profiles = treatment_profiles(evaluated);
  for (const bool other_batch : {false, true}) {
    const NeighbourScore score = neighbour_score(profiles, other_batch);
    const char* name = other_batch ? "NSCB" : "NSC";
    if (!profiles.empty()) neighbours.emplace_back(name, score);
    document["metrics"][name] = score.treatments > 0 ? Json(score.share()) : Json(nullptr);
  }
  const std::string text = document.dump(2) + "\n";
  if (!out.empty()) write_file_atomically(out, text);
  if (json) {
    std::fputs(text.c_str(), stdout);
    return;
  }
  if (evaluated.data.leaks) std::printf("%s\n\n", kLeakWarning);
  std::printf("%lld of %lld images right\n", static_cast<long long>(matrix.right()),
              static_cast<long long>(matrix.total()));
  for (const char* name : {"top-1", "top-5", "balanced"}) {
    const auto score = scores.find(name);
    if (score != scores.end() && score->second) std::printf("%-9s %.4f\n", name, *score->second);
  }
  for (const auto& [name, score] : neighbours) {
    if (score.treatments == 0) continue;
    std::printf("%-9s %.4f  (%lld of %lld treatments)\n", name.c_str(), score.share(),
                static_cast<long long>(score.right), static_cast<long long>(score.treatments));
  }
  print_matrix(task, matrix);
}

}  // namespace wholemount::cli
