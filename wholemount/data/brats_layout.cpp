#include "wholemount/data/brats_layout.h"

#include <array>
#include <filesystem>
#include <optional>

#include "wholemount/base/error.h"
#include "wholemount/data/layout_files.h"

namespace wholemount {

namespace {

namespace fs = std::filesystem;

/// How the files of a case are called after its name.
struct Naming {
  std::array<const char*, 4> channels;  ///< in the order of kChannelNames
  const char* label;
};

constexpr std::array<const char*, 4> kChannelNames{"FLAIR", "T1w", "t1gd", "T2w"};
constexpr std::array<Naming, 2> kNamings{
    {{{"_flair", "_t1", "_t1ce", "_t2"}, "_seg"}, {{"-t2f", "-t1n", "-t1c", "-t2w"}, "-seg"}}};

std::optional<std::string> find_file(const std::string& root, const std::string& id,
                                     const std::string& part) {
  for (const char* ending : {".nii.gz", ".nii"}) {
    std::string path = (fs::path(root) / id / (id + part + ending)).string();
    if (is_file(path)) return path;
  }
  return std::nullopt;
}

const Naming* naming_of(const std::string& root, const std::string& id) {
  for (const Naming& naming : kNamings) {
    if (find_file(root, id, naming.channels[0])) return &naming;
  }
  return nullptr;
}

Case make_case(const std::string& root, const std::string& id, const Naming& naming) {
  Case subject;
  subject.id = id;
  for (const char* part : naming.channels) {
    const std::optional<std::string> path = find_file(root, id, part);
    if (!path) {
      throw FileError((fs::path(root) / id / (id + part + ".nii.gz")).string(),
                      "is missing, but the case has other channels");
    }
    subject.channels.push_back({*path, 0});
  }
  subject.label = find_file(root, id, naming.label).value_or("");
  return subject;
}

// Challenges up to 2021 call the enhancing tumour 4, later ones 3. Not every case has any, so label
// maps are read until one tells.
int64_t enhancing_value(const std::vector<Case>& cases) {
  for (const Case& subject : cases) {
    for (const int64_t value : label_values_in(subject.label)) {
      if (value == 3 || value == 4) return value;
    }
  }
  return 4;
}

Dataset empty_dataset(const std::string& root) {
  Dataset dataset;
  dataset.layout = DatasetLayout::brats;
  dataset.root = root;
  dataset.name = fs::path(root).lexically_normal().filename().string();
  dataset.channel_names.assign(kChannelNames.begin(), kChannelNames.end());
  return dataset;
}

}  // namespace

bool is_brats_layout(const std::string& root) {
  if (!fs::is_directory(root)) return false;
  for (const std::string& id : sorted_entries(root)) {
    if (naming_of(root, id) != nullptr) return true;
  }
  return false;
}

std::optional<Dataset> find_brats_case(const std::string& folder) {
  const fs::path path = (fs::path(folder) / "").lexically_normal().parent_path();
  const std::string root = path.has_parent_path() ? path.parent_path().string() : ".";
  const std::string id = path.filename().string();
  const Naming* naming = id.empty() ? nullptr : naming_of(root, id);
  if (naming == nullptr) return std::nullopt;
  Dataset dataset = empty_dataset(folder);
  dataset.unlabelled.push_back(make_case(root, id, *naming));
  return dataset;
}

Dataset read_brats_layout(const std::string& root) {
  Dataset dataset = empty_dataset(root);
  for (const std::string& id : sorted_entries(root)) {
    const Naming* naming = naming_of(root, id);
    if (naming == nullptr) continue;
    Case subject = make_case(root, id, *naming);
    (subject.label.empty() ? dataset.unlabelled : dataset.cases).push_back(std::move(subject));
  }
  dataset.labels = {{0, "background"},
                    {1, "necrotic tumour core"},
                    {2, "edema"},
                    {enhancing_value(dataset.cases), "enhancing tumour"}};
  return dataset;
}

}  // namespace wholemount
