#include "wholemount/data/msd_layout.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "wholemount/base/error.h"
#include "wholemount/data/json_file.h"

namespace wholemount {

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string description_path(const std::string& root) {
  return (fs::path(root) / "dataset.json").string();
}

const Json& member(const Json& object, const char* key, const std::string& path) {
  const auto found = object.find(key);
  if (found == object.end()) {
    throw FileError(path, std::string("the key \"") + key + "\" is missing");
  }
  return *found;
}

std::string text_of(const Json& value, const std::string& path, const char* what) {
  if (!value.is_string()) throw FileError(path, std::string(what) + " is not a text");
  return value.get<std::string>();
}

bool archiver_leftover(const std::string& file) {
  return fs::path(file).filename().string().starts_with("._");
}

std::string case_id(const std::string& file) {
  std::string name = fs::path(file).filename().string();
  for (const char* suffix : {".nii.gz", ".nii"}) {
    if (name.ends_with(suffix)) return name.substr(0, name.size() - std::string(suffix).size());
  }
  return name;
}

std::string existing_file(const std::string& root, const std::string& file,
                          const std::string& description) {
  const std::string path = (fs::path(root) / file).lexically_normal().string();
  if (!fs::is_regular_file(path)) {
    throw FileError(path, "is missing, but " + description + " names it (as \"" + file + "\")");
  }
  return path;
}

// {"0": "FLAIR", "1": "T1w"}: keys in number order, which must be 0, 1, 2 ...
std::vector<std::string> channel_names(const Json& modality, const std::string& path) {
  if (!modality.is_object()) throw FileError(path, "\"modality\" is not an object");
  std::map<int64_t, std::string> by_index;
  for (const auto& [key, name] : modality.items()) {
    by_index[parse_index(key, path, "the modality key")] = text_of(name, path, "a modality name");
  }
  std::vector<std::string> names;
  for (const auto& [index, name] : by_index) {
    if (index != static_cast<int64_t>(names.size())) {
      throw FileError(path, "the modality keys are not 0, 1, 2 ...");
    }
    names.push_back(name);
  }
  if (names.empty()) throw FileError(path, "\"modality\" names no channel");
  return names;
}

std::vector<LabelName> label_names(const Json& labels, const std::string& path) {
  if (!labels.is_object()) throw FileError(path, "\"labels\" is not an object");
  std::vector<LabelName> names;
  for (const auto& [key, name] : labels.items()) {
    const int64_t value = parse_index(key, path, "the label key");
    if (value < 0 || value > 255) {
      throw FileError(path, "label value " + key + " is outside 0 to 255");
    }
    names.push_back({value, text_of(name, path, "a label name")});
  }
  std::sort(names.begin(), names.end(),
            [](const LabelName& a, const LabelName& b) { return a.value < b.value; });
  const auto twice =
      std::adjacent_find(names.begin(), names.end(),
                         [](const LabelName& a, const LabelName& b) { return a.value == b.value; });
  if (twice != names.end()) {
    throw FileError(path, "label value " + std::to_string(twice->value) + " is named twice");
  }
  return names;
}

Case make_case(const std::string& image, size_t num_channels) {
  Case subject;
  subject.id = case_id(image);
  for (size_t channel = 0; channel < num_channels; ++channel) {
    subject.channels.push_back({image, static_cast<int64_t>(channel)});
  }
  return subject;
}

}  // namespace

bool is_msd_layout(const std::string& root) {
  const std::string path = description_path(root);
  if (!fs::is_regular_file(path)) return false;
  const Json description = read_json_file(path);
  return description.is_object() && description.contains("training") &&
         description.contains("modality");
}

Dataset read_msd_layout(const std::string& root) {
  const std::string path = description_path(root);
  const Json description = read_json_file(path);
  if (!description.is_object()) throw FileError(path, "is not a JSON object");
  Dataset dataset;
  dataset.layout = DatasetLayout::msd;
  dataset.root = root;
  if (description.contains("name") && description["name"].is_string()) {
    dataset.name = description["name"].get<std::string>();
  }
  dataset.channel_names = channel_names(member(description, "modality", path), path);
  dataset.labels = label_names(member(description, "labels", path), path);
  const Json& training = member(description, "training", path);
  if (!training.is_array()) throw FileError(path, "\"training\" is not a list");
  for (const Json& entry : training) {
    if (!entry.is_object()) throw FileError(path, "an entry of \"training\" is not an object");
    const std::string image = text_of(member(entry, "image", path), path, "an image path");
    const std::string label = text_of(member(entry, "label", path), path, "a label path");
    if (archiver_leftover(image)) continue;
    Case subject = make_case(existing_file(root, image, path), dataset.channel_names.size());
    subject.label = existing_file(root, label, path);
    dataset.cases.push_back(std::move(subject));
  }
  const auto test = description.find("test");
  if (test == description.end() || !test->is_array()) return dataset;
  for (const Json& entry : *test) {
    // Some releases list paths, some list {image: path}.
    const std::string image = entry.is_object()
                                  ? text_of(member(entry, "image", path), path, "an image path")
                                  : text_of(entry, path, "a test image path");
    if (archiver_leftover(image)) continue;
    const std::string file = (fs::path(root) / image).lexically_normal().string();
    // Training needs no test images, and many keep only the training part of the archive.
    if (!fs::is_regular_file(file)) continue;
    dataset.unlabelled.push_back(make_case(file, dataset.channel_names.size()));
  }
  return dataset;
}

}  // namespace wholemount
