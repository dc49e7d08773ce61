#include "wholemount/data/msd_layout.h"

#include <filesystem>

#include "wholemount/base/error.h"
#include "wholemount/data/json_file.h"
#include "wholemount/data/layout_files.h"

namespace wholemount {

namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

std::string description_path(const std::string& root) {
  return (fs::path(root) / "dataset.json").string();
}

std::vector<LabelName> label_names(const Json& labels, const std::string& path) {
  if (!labels.is_object()) throw FileError(path, "\"labels\" is not an object");
  std::vector<LabelName> names;
  for (const auto& [key, name] : labels.items()) {
    names.push_back(
        {parse_index(key, path, "the label key"), json_text(name, path, "a label name")});
  }
  sort_labels(&names, path);
  return names;
}

// An image that a description names. nnU-Net's first format looks like the Decathlon's, but keeps
// one file a channel.
std::string image_file(const std::string& root, const std::string& image,
                       const std::string& description) {
  if (const size_t ending = image.find(".nii"); ending != std::string::npos) {
    const std::string first = image.substr(0, ending) + "_0000" + image.substr(ending);
    const std::string path = (fs::path(root) / first).lexically_normal().string();
    if (!is_file((fs::path(root) / image).string()) && is_file(path)) {
      throw FileError(path, "is there, but not \"" + image + "\", which " + description +
                                " names: this is nnU-Net's first format; give its dataset.json the "
                                "keys of the second (channel_names, labels as name: value, "
                                "file_ending)");
    }
  }
  return existing_file(root, image, description);
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
  if (!is_file(path)) return false;
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
  dataset.channel_names =
      json_channel_names(json_member(description, "modality", path), "modality", path);
  dataset.labels = label_names(json_member(description, "labels", path), path);
  const Json& training = json_member(description, "training", path);
  if (!training.is_array()) throw FileError(path, "\"training\" is not a list");
  for (const Json& entry : training) {
    if (!entry.is_object()) throw FileError(path, "an entry of \"training\" is not an object");
    const std::string image = json_text(json_member(entry, "image", path), path, "an image path");
    const std::string label = json_text(json_member(entry, "label", path), path, "a label path");
    if (archiver_leftover(image)) continue;
    Case subject = make_case(image_file(root, image, path), dataset.channel_names.size());
    subject.label = existing_file(root, label, path);
    dataset.cases.push_back(std::move(subject));
  }
  const auto test = description.find("test");
  if (test == description.end() || !test->is_array()) return dataset;
  for (const Json& entry : *test) {
    // Some releases list paths, some list {image: path}.
    const std::string image =
        entry.is_object() ? json_text(json_member(entry, "image", path), path, "an image path")
                          : json_text(entry, path, "a test image path");
    if (archiver_leftover(image)) continue;
    const std::string file = (fs::path(root) / image).lexically_normal().string();
    // Training needs no test images, and many keep only the training part of the archive.
    if (!is_file(file)) continue;
    dataset.unlabelled.push_back(make_case(file, dataset.channel_names.size()));
  }
  return dataset;
}

}  // namespace wholemount
