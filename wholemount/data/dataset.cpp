#include "wholemount/data/dataset.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/nearest_name.h"
#include "wholemount/data/bbbc021_layout.h"
#include "wholemount/data/brats_layout.h"
#include "wholemount/data/csv_layout.h"
#include "wholemount/data/folders_layout.h"
#include "wholemount/data/msd_layout.h"
#include "wholemount/data/nnunet_layout.h"

namespace wholemount {

namespace {

constexpr std::array<DatasetLayout, 6> kLayouts{DatasetLayout::msd,   DatasetLayout::nnunet,
                                                DatasetLayout::brats, DatasetLayout::bbbc021,
                                                DatasetLayout::csv,   DatasetLayout::folders};

bool has_layout(const std::string& root, DatasetLayout layout) {
  switch (layout) {
    case DatasetLayout::msd:
      return is_msd_layout(root);
    case DatasetLayout::nnunet:
      return is_nnunet_layout(root);
    case DatasetLayout::brats:
      return is_brats_layout(root);
    case DatasetLayout::bbbc021:
      return is_bbbc021_layout(root);
    case DatasetLayout::csv:
      return is_csv_layout(root);
    case DatasetLayout::folders:
      return is_folders_layout(root);
  }
  return false;
}

bool has_folder(const std::string& root, const char* name) {
  std::error_code ignored;
  return std::filesystem::is_directory(std::filesystem::path(root) / name, ignored);
}

/// What a folder without a known layout looks like, and what it wants to be one.
std::string missing_layout(const std::string& root) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::is_directory(root, ignored)) {
    return "is a file, but no CSV manifest; wanted a data set's folder, or a .csv";
  }
  if (fs::exists(fs::path(root) / "dataset.json", ignored)) {
    return "its dataset.json is neither the Medical Segmentation Decathlon's (keys \"modality\" "
           "and \"training\") nor nnU-Net's (\"channel_names\", \"labels\", "
           "\"file_ending\")";
  }
  if (has_folder(root, "imagesTr") || has_folder(root, "labelsTr")) {
    return "has imagesTr or labelsTr, but its dataset.json is missing; copy it from where the data "
           "set came from, or write a CSV manifest";
  }
  std::string inner;
  int64_t found = 0;
  bool has_scans = false;
  for (const auto& entry : fs::directory_iterator(root, ignored)) {
    const std::string path = entry.path().string();
    has_scans = has_scans || path.ends_with(".nii") || path.ends_with(".nii.gz");
    if (!entry.is_directory(ignored) || !fs::exists(entry.path() / "dataset.json", ignored)) {
      continue;
    }
    inner = path;
    ++found;
  }
  if (found == 1) return "holds no data set itself; did you mean " + inner + "?";
  const std::string wanted =
      "wanted dataset.json (Medical Segmentation Decathlon, nnU-Net), folders "
      "CASE/CASE_flair.nii.gz (BraTS), a CSV manifest, image.csv and moa.csv of BBBC021, or one "
      "folder of images a class";
  if (has_scans) {
    return "holds scans, but nothing says which are images and which labels; " + wanted;
  }
  return "holds no data set of a known layout; " + wanted;
}

Dataset read_layout(const std::string& root, DatasetLayout layout,
                    const DatasetSelection& selection) {
  switch (layout) {
    case DatasetLayout::msd:
      return read_msd_layout(root);
    case DatasetLayout::nnunet:
      return read_nnunet_layout(root);
    case DatasetLayout::brats:
      return read_brats_layout(root);
    case DatasetLayout::bbbc021:
      return read_bbbc021_layout(root, selection);
    case DatasetLayout::csv:
      return read_csv_layout(root);
    case DatasetLayout::folders:
      return read_folders_layout(root);
  }
  throw InternalError("unknown layout");
}

// One spelling for all usual names of a brain tumour channel; other names in lower case.
std::string usual_channel_name(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<std::pair<const char*, const char*>, 7> kSame{{{"t2f", "flair"},
                                                                      {"t1n", "t1w"},
                                                                      {"t1", "t1w"},
                                                                      {"t1ce", "t1gd"},
                                                                      {"t1c", "t1gd"},
                                                                      {"t2", "t2w"},
                                                                      {"t2-flair", "flair"}}};
  for (const auto& [from, to] : kSame) {
    if (lower == from) return to;
  }
  return lower;
}

std::optional<int64_t> find_channel(const Dataset& dataset, const std::string& name) {
  const auto& names = dataset.channel_names;
  const auto exact = std::find(names.begin(), names.end(), name);
  if (exact != names.end()) return exact - names.begin();
  const auto similar = std::find_if(names.begin(), names.end(), [&](const std::string& known) {
    return usual_channel_name(known) == usual_channel_name(name);
  });
  if (similar != names.end()) return similar - names.begin();
  return std::nullopt;
}

}  // namespace

const char* layout_name(DatasetLayout layout) {
  switch (layout) {
    case DatasetLayout::msd:
      return "msd";
    case DatasetLayout::nnunet:
      return "nnunet";
    case DatasetLayout::brats:
      return "brats";
    case DatasetLayout::bbbc021:
      return "bbbc021";
    case DatasetLayout::csv:
      return "csv";
    case DatasetLayout::folders:
      return "folders";
  }
  return "?";
}

DatasetLayout parse_layout(const std::string& name) {
  std::vector<std::string> names;
  for (const DatasetLayout layout : kLayouts) {
    if (name == layout_name(layout)) return layout;
    names.emplace_back(layout_name(layout));
  }
  throw ConfigError("data.layout: unknown layout \"" + name + "\"" + suggestion(name, names));
}

std::optional<DatasetLayout> find_layout(const std::string& root) {
  std::optional<DatasetLayout> layout;
  for (const DatasetLayout candidate : kLayouts) {
    if (!has_layout(root, candidate)) continue;
    // Folders of images are what every other layout is made of.
    if (layout && candidate == DatasetLayout::folders) continue;
    if (layout) {
      throw FileError(root, std::string("holds two data sets: one in the layout ") +
                                layout_name(*layout) + ", one in the layout " +
                                layout_name(candidate) +
                                "; say which with data.layout, or give each a folder");
    }
    layout = candidate;
  }
  return layout;
}

Dataset open_dataset(const std::string& root, std::optional<DatasetLayout> layout,
                     const DatasetSelection& selection) {
  if (!std::filesystem::exists(root)) {
    throw FileError(root, "no such data folder; set data.root to where the data set lies");
  }
  if (!layout) layout = find_layout(root);
  if (!layout) throw FileError(root, missing_layout(root));
  Dataset dataset = read_layout(root, *layout, selection);
  if (dataset.cases.empty() && dataset.unlabelled.empty()) {
    throw FileError(
        root, std::string("the data set (layout ") + layout_name(*layout) + ") names no cases");
  }
  return dataset;
}

std::vector<int64_t> select_channels(const Dataset& dataset,
                                     const std::vector<std::string>& names) {
  std::vector<int64_t> channels;
  if (names.empty()) {
    for (size_t i = 0; i < dataset.channel_names.size(); ++i) {
      channels.push_back(static_cast<int64_t>(i));
    }
    return channels;
  }
  for (const std::string& name : names) {
    const std::optional<int64_t> index = find_channel(dataset, name);
    if (!index) {
      throw ConfigError("data.channels: the data set has no channel \"" + name + "\"" +
                        suggestion(name, dataset.channel_names));
    }
    if (std::find(channels.begin(), channels.end(), *index) != channels.end()) {
      throw ConfigError("data.channels: \"" + name + "\" is named twice");
    }
    channels.push_back(*index);
  }
  return channels;
}

}  // namespace wholemount
