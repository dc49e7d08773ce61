#include "wholemount/predict/score_summary.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

bool is_count(const std::string& name) {
  return name == "TP" || name == "FP" || name == "FN" || name == "TN" || name == "n_pred" ||
         name == "n_ref";
}

bool has_soft_scores(const ScoreSummary& summary) {
  return std::any_of(summary.cases.begin(), summary.cases.end(), [](const CaseScores& scores) {
    return std::any_of(scores.labels.begin(), scores.labels.end(),
                       [](const LabelScores& label) { return label.soft.has_value(); });
  });
}

// Names for a summary: SoftDice only where there is any.
std::vector<std::string> names_for(const ScoreSummary& summary, std::vector<std::string> names) {
  if (!has_soft_scores(summary)) std::erase(names, "SoftDice");
  return names;
}

Json json_of(const LabelScores& scores, const std::vector<std::string>& names) {
  Json object = Json::object();
  for (const std::string& name : names) {
    const std::optional<double> value = score_by_name(scores, name);
    // Counts are far below 2^53, so the way through double is exact.
    object[name] = is_count(name) ? Json(static_cast<int64_t>(*value)) : json_of(value);
  }
  return object;
}

}  // namespace

const std::vector<std::string>& score_names() {
  static const std::vector<std::string> names{
      "Dice",     "IoU", "Sensitivity", "Precision", "Accuracy", "VolumeError", "NSD",  "HD95",
      "SoftDice", "TP",  "FP",          "FN",        "TN",       "n_pred",      "n_ref"};
  return names;
}

const std::vector<std::string>& pooled_score_names() {
  static const std::vector<std::string> names{"Dice",     "IoU",         "Sensitivity", "Precision",
                                              "Accuracy", "VolumeError", "SoftDice"};
  return names;
}

std::optional<double> pooled_score(const ScoreSummary& summary, size_t label,
                                   const std::string& name) {
  LabelScores all;
  for (const CaseScores& scores : summary.cases) {
    const LabelScores& one = scores.labels.at(label);
    all.counts += one.counts;
    if (!one.soft) continue;
    if (!all.soft) all.soft.emplace();
    *all.soft += *one.soft;
  }
  return score_by_name(all, name);
}

std::optional<double> score_by_name(const LabelScores& scores, const std::string& name) {
  const OverlapCounts& counts = scores.counts;
  const auto number = [](int64_t count) { return static_cast<double>(count); };
  if (name == "Dice") return dice(counts);
  if (name == "IoU") return iou(counts);
  if (name == "Sensitivity") return sensitivity(counts);
  if (name == "Precision") return precision(counts);
  if (name == "Accuracy") return accuracy(counts);
  if (name == "VolumeError") return relative_volume_error(counts);
  if (name == "NSD") return scores.nsd;
  if (name == "HD95") return scores.hd95_mm;
  if (name == "SoftDice") return scores.soft ? soft_dice(*scores.soft) : std::nullopt;
  if (name == "TP") return number(counts.tp);
  if (name == "FP") return number(counts.fp);
  if (name == "FN") return number(counts.fn);
  if (name == "TN") return number(counts.tn);
  if (name == "n_pred") return number(counts.predicted());
  WM_CHECK(name == "n_ref", "unknown metric " + name);
  return number(counts.reference());
}

std::optional<double> mean_score(const ScoreSummary& summary, size_t label,
                                 const std::string& name) {
  std::vector<std::optional<double>> values;
  for (const CaseScores& scores : summary.cases) {
    values.push_back(score_by_name(scores.labels.at(label), name));
  }
  return mean_of_defined(values);
}

std::optional<double> foreground_mean_score(const ScoreSummary& summary, const std::string& name) {
  std::vector<std::optional<double>> means;
  for (size_t label = summary.first_is_background ? 1 : 0; label < summary.label_names.size();
       ++label) {
    means.push_back(mean_score(summary, label, name));
  }
  return mean_of_defined(means);
}

std::string to_json(const ScoreSummary& summary) {
  const std::vector<std::string> names = names_for(summary, score_names());
  const std::vector<std::string> pooled_names = names_for(summary, pooled_score_names());
  Json root = Json::object();
  root["foreground_mean"] = Json::object();
  for (const std::string& name : names) {
    root["foreground_mean"][name] = json_of(foreground_mean_score(summary, name));
  }
  root["mean"] = Json::object();
  root["pooled"] = Json::object();
  root["pooled_dice"] = Json::object();
  for (size_t label = 0; label < summary.label_names.size(); ++label) {
    const std::string& key = summary.label_names[label];
    for (const std::string& name : names) {
      root["mean"][key][name] = json_of(mean_score(summary, label, name));
    }
    for (const std::string& name : pooled_names) {
      root["pooled"][key][name] = json_of(pooled_score(summary, label, name));
    }
    root["pooled_dice"][key] = root["pooled"][key]["Dice"];
  }
  root["metric_per_case"] = Json::array();
  for (const CaseScores& scores : summary.cases) {
    Json metrics = Json::object();
    for (size_t label = 0; label < summary.label_names.size(); ++label) {
      metrics[summary.label_names[label]] = json_of(scores.labels.at(label), names);
    }
    root["metric_per_case"].push_back({{"metrics", metrics},
                                       {"prediction_file", scores.prediction_file},
                                       {"reference_file", scores.reference_file}});
  }
  return root.dump(2);
}

}  // namespace wholemount
