#include "wholemount/data/dataset.h"

#include <algorithm>
#include <filesystem>

#include "wholemount/base/error.h"
#include "wholemount/base/nearest_name.h"
#include "wholemount/data/msd_layout.h"

namespace wholemount {

const char* layout_name(DatasetLayout layout) {
  switch (layout) {
    case DatasetLayout::msd:
      return "msd";
  }
  return "?";
}

DatasetLayout parse_layout(const std::string& name) {
  const std::vector<std::string> known{"msd"};
  for (const DatasetLayout layout : {DatasetLayout::msd}) {
    if (name == layout_name(layout)) return layout;
  }
  throw ConfigError("unknown data layout \"" + name + "\"" + suggestion(name, known));
}

Dataset open_dataset(const std::string& root, std::optional<DatasetLayout> layout) {
  if (!std::filesystem::exists(root)) {
    throw FileError(root, "no such data folder; set data.root to where the data set lies");
  }
  if (!layout && is_msd_layout(root)) layout = DatasetLayout::msd;
  if (!layout) {
    throw FileError(root,
                    "holds no data set of a known layout; wanted a folder with dataset.json "
                    "(Medical Segmentation Decathlon)");
  }
  Dataset dataset = read_msd_layout(root);
  if (dataset.cases.empty() && dataset.unlabelled.empty()) {
    throw FileError(root, "the data set names no cases");
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
    const auto found = std::find(dataset.channel_names.begin(), dataset.channel_names.end(), name);
    if (found == dataset.channel_names.end()) {
      throw ConfigError("data.channels: the data set has no channel \"" + name + "\"" +
                        suggestion(name, dataset.channel_names));
    }
    const auto index = static_cast<int64_t>(found - dataset.channel_names.begin());
    if (std::find(channels.begin(), channels.end(), index) != channels.end()) {
      throw ConfigError("data.channels: \"" + name + "\" is named twice");
    }
    channels.push_back(index);
  }
  return channels;
}

}  // namespace wholemount
