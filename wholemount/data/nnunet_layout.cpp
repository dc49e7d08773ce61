#include "wholemount/data/nnunet_layout.h"

#include <algorithm>
#include <filesystem>

#include "wholemount/base/error.h"
#include "wholemount/base/json_integer.h"
#include "wholemount/data/json_file.h"
#include "wholemount/data/layout_files.h"

namespace wholemount {

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string description_path(const std::string& root) {
  return (fs::path(root) / "dataset.json").string();
}

int64_t whole_number(const Json& value, const std::string& path) {
  if (const auto number = json_integer(value)) return *number;
  throw FileError(path, "a label value is not a whole number");
}

bool declared(const std::vector<LabelName>& labels, int64_t value) {
  return std::any_of(labels.begin(), labels.end(),
                     [value](const LabelName& label) { return label.value == value; });
}

// {"background": 0, "whole tumour": [1, 2, 3], "enhancing": 3, "ignore": 4}
void read_labels(const Json& labels, const std::string& path, Dataset* dataset) {
  if (!labels.is_object()) throw FileError(path, "\"labels\" is not an object");
  for (const auto& [name, value] : labels.items()) {
    if (!value.is_array()) {
      if (name == "ignore") {
        dataset->ignored_label = whole_number(value, path);
      } else {
        dataset->labels.push_back({whole_number(value, path), name});
      }
      continue;
    }
    NamedRegion region{name, {}};
    for (const Json& part : value) region.values.push_back(whole_number(part, path));
    dataset->regions.push_back(std::move(region));
  }
  // Values that only regions name are declared all the same.
  for (const NamedRegion& region : dataset->regions) {
    for (const int64_t value : region.values) {
      if (!declared(dataset->labels, value)) {
        dataset->labels.push_back({value, "label " + std::to_string(value)});
      }
    }
  }
  sort_labels(&dataset->labels, path);
  if (dataset->ignored_label && (declared(dataset->labels, *dataset->ignored_label) ||
                                 *dataset->ignored_label < 0 || *dataset->ignored_label > 255)) {
    throw FileError(path, "the value of \"ignore\" is not one of its own from 0 to 255");
  }
}

std::string channel_file(const std::string& id, size_t channel, const std::string& ending) {
  std::string number = std::to_string(channel);
  number.insert(0, number.size() < 4 ? 4 - number.size() : 0, '0');
  return id + "_" + number + ending;
}

Case make_case(const std::string& root, const std::string& folder, const std::string& id,
               const std::string& ending, size_t num_channels) {
  Case subject;
  subject.id = id;
  for (size_t channel = 0; channel < num_channels; ++channel) {
    const std::string file = folder + "/" + channel_file(id, channel, ending);
    subject.channels.push_back({existing_file(root, file, "the case \"" + id + "\""), 0});
  }
  return subject;
}

}  // namespace

bool is_nnunet_layout(const std::string& root) {
  const std::string path = description_path(root);
  if (!is_file(path)) return false;
  const Json description = read_json_file(path);
  return description.is_object() && description.contains("channel_names");
}

Dataset read_nnunet_layout(const std::string& root) {
  const std::string path = description_path(root);
  const Json description = read_json_file(path);
  if (!description.is_object()) throw FileError(path, "is not a JSON object");
  Dataset dataset;
  dataset.layout = DatasetLayout::nnunet;
  dataset.root = root;
  dataset.name = fs::path(root).lexically_normal().filename().string();
  dataset.channel_names =
      json_channel_names(json_member(description, "channel_names", path), "channel_names", path);
  read_labels(json_member(description, "labels", path), path, &dataset);
  const std::string ending =
      json_text(json_member(description, "file_ending", path), path, "\"file_ending\"");
  if (ending != ".nii.gz" && ending != ".nii") {
    throw FileError(path, "\"file_ending\" is \"" + ending + "\"; .nii.gz and .nii can be read");
  }
  const size_t num_channels = dataset.channel_names.size();
  for (const std::string& file : sorted_entries((fs::path(root) / "labelsTr").string())) {
    if (!file.ends_with(ending)) continue;
    const std::string id = file.substr(0, file.size() - ending.size());
    Case subject = make_case(root, "imagesTr", id, ending, num_channels);
    subject.label = existing_file(root, "labelsTr/" + file, path);
    dataset.cases.push_back(std::move(subject));
  }
  const std::string first = "_0000" + ending;
  for (const std::string& file : sorted_entries((fs::path(root) / "imagesTs").string())) {
    if (!file.ends_with(first)) continue;
    dataset.unlabelled.push_back(make_case(
        root, "imagesTs", file.substr(0, file.size() - first.size()), ending, num_channels));
  }
  return dataset;
}

}  // namespace wholemount
