#include "wholemount/predict/evaluation.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/predict/evaluation_labels.h"
#include "wholemount/predict/evaluation_surfaces.h"
#include "wholemount/predict/label_pairs.h"

namespace wholemount {

namespace {

struct FilePair {
  std::string prediction;
  std::string reference;
};

// The file's name without a volume's suffix; empty for other files.
std::string volume_stem(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (name.starts_with('.')) return {};
  for (const char* suffix : {".nii.gz", ".hdr.gz", ".nii", ".hdr"}) {
    if (name.ends_with(suffix)) return name.substr(0, name.size() - std::string(suffix).size());
  }
  return {};
}

std::map<std::string, std::string> volumes_in(const std::string& folder) {
  std::map<std::string, std::string> volumes;
  std::error_code error;
  const std::filesystem::directory_iterator entries(folder, error);
  if (error) throw FileError(folder, "cannot be listed: " + error.message());
  for (const auto& entry : entries) {
    const std::string stem = volume_stem(entry.path());
    if (stem.empty() || entry.is_directory()) continue;
    const auto [known, added] = volumes.emplace(stem, entry.path().string());
    if (!added) {
      throw FileError(entry.path().string(),
                      "and " + known->second + " have one name; remove one of them");
    }
  }
  if (volumes.empty()) {
    throw FileError(folder, "holds no label maps (.nii, .nii.gz or .hdr)");
  }
  return volumes;
}

// A folder's volumes by name, or one file under its own name.
std::map<std::string, std::string> volumes_at(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw FileError(path, "does not exist; wanted a label map or a folder of them");
  }
  if (std::filesystem::is_directory(status)) return volumes_in(path);
  return {{volume_stem(path), path}};
}

std::vector<FilePair> match_files(const std::string& predictions, const std::string& references,
                                  bool partial) {
  const auto predicted = volumes_at(predictions);
  const auto referenced = volumes_at(references);
  const bool one_prediction = !std::filesystem::is_directory(predictions);
  const bool one_reference = !std::filesystem::is_directory(references);
  if (one_prediction && one_reference) return {{predictions, references}};
  std::vector<FilePair> pairs;
  for (const auto& [name, path] : predicted) {
    const auto reference = referenced.find(name);
    if (reference != referenced.end()) {
      pairs.push_back({path, reference->second});
    } else if (!one_reference) {
      throw FileError(path, "has no counterpart in " + references + ": wanted a label map named " +
                                name + ".nii.gz or " + name + ".nii there");
    }
  }
  if (partial || one_prediction) return pairs;
  for (const auto& [name, path] : referenced) {
    if (predicted.contains(name)) continue;
    throw FileError(path, "has no counterpart in " + predictions + ": wanted a prediction named " +
                              name + ".nii.gz or " + name +
                              ".nii there; --partial scores only what is predicted");
  }
  return pairs;
}

std::vector<EvaluationLabel> labels_found(const std::vector<std::vector<LabelPair>>& cases) {
  std::set<uint8_t> values;
  for (const auto& pairs : cases) {
    for (const LabelPair& pair : pairs) {
      values.insert(pair.prediction);
      values.insert(pair.reference);
    }
  }
  std::vector<EvaluationLabel> labels;
  for (const uint8_t value : values) {
    if (value != 0) labels.push_back(make_evaluation_label({value}));
  }
  return labels;
}

// The foreground mean leaves out the first label where that is the background.
void put_background_first(std::vector<EvaluationLabel>& labels) {
  std::stable_partition(labels.begin(), labels.end(),
                        [](const EvaluationLabel& label) { return label.key == "0"; });
}

CaseScores overlap_scores(const FilePair& files, const std::vector<LabelPair>& pairs,
                          const std::vector<EvaluationLabel>& labels) {
  CaseScores scores{files.prediction, files.reference, {}};
  for (const EvaluationLabel& label : labels) {
    scores.labels.emplace_back().counts = overlap_of(pairs, label.values);
  }
  return scores;
}

}  // namespace

EvaluationLabel make_evaluation_label(std::vector<uint8_t> values, const std::string& name) {
  WM_CHECK(!values.empty(), "a label without values");
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  std::string key;
  for (const uint8_t value : values) key += (key.empty() ? "" : ", ") + std::to_string(value);
  if (values.size() > 1) key = "(" + key + ")";
  return {key, name.empty() ? key : name, std::move(values)};
}

Evaluation evaluate_label_maps(const std::string& predictions, const std::string& references,
                               const EvaluationSpec& spec) {
  const std::vector<FilePair> files = match_files(predictions, references, spec.partial);
  if (files.empty()) {
    throw FileError(predictions, "and " + references + " have no file name in common");
  }
  Evaluation evaluation;
  std::vector<EvaluationLabel>& labels = evaluation.labels;
  // Misspelt names are refused before anything is read.
  labels = parse_evaluation_labels(spec.labels, references);
  const size_t readings = files.size() * (spec.surfaces ? 2 : 1);
  std::vector<std::vector<LabelPair>> pairs;
  for (const FilePair& file : files) {
    NiftiReader prediction(file.prediction);
    NiftiReader reference(file.reference);
    pairs.push_back(count_label_pairs(prediction, reference));
    if (spec.progress) spec.progress(pairs.size(), readings);
  }
  if (spec.labels.empty()) labels = labels_found(pairs);
  put_background_first(labels);
  ScoreSummary& summary = evaluation.summary;
  summary.first_is_background = !labels.empty() && labels.front().key == "0";
  for (const EvaluationLabel& label : labels) summary.label_names.push_back(label.key);
  for (size_t i = 0; i < files.size(); ++i) {
    summary.cases.push_back(overlap_scores(files[i], pairs[i], labels));
    if (!spec.surfaces) continue;
    add_surface_scores(labels, spec.tolerance_mm, summary.cases.back());
    if (spec.progress) spec.progress(files.size() + i + 1, readings);
  }
  return evaluation;
}

}  // namespace wholemount
