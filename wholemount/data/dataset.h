#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wholemount {

/// How a data set lies on disk.
enum class DatasetLayout : uint8_t { msd };

[[nodiscard]] const char* layout_name(DatasetLayout layout);
/// Reads "msd", ...; throws ConfigError naming the nearest known layout.
[[nodiscard]] DatasetLayout parse_layout(const std::string& name);

/// Where one channel of a case is stored: a file and the channel in it (4-D files hold several).
struct ChannelFile {
  std::string path;
  int64_t channel = 0;
};

/// One subject's images and label.
struct Case {
  std::string id;
  std::vector<ChannelFile> channels;  ///< in the order of Dataset::channel_names
  std::string label;                  ///< path of the label map; empty where there is none
};

/// A label value of the data set's label maps and what it is called.
struct LabelName {
  int64_t value = 0;
  std::string name;
};

/// What a data set holds, without voxels. Paths are complete.
struct Dataset {
  DatasetLayout layout = DatasetLayout::msd;
  std::string root;
  std::string name;
  std::vector<std::string> channel_names;
  std::vector<LabelName> labels;  ///< rising values, background (0) included
  std::vector<Case> cases;        ///< with labels, in the order the data set lists them
  std::vector<Case> unlabelled;   ///< test images without labels
};

/// Opens a data set; the layout is detected unless given.
/// - msd: `root/dataset.json` of the Medical Segmentation Decathlon (keys modality, labels,
///   training, test); channels are the fourth axis of each image; entries named `._*` (left by some
///   archivers) are skipped.
/// Throws FileError: unknown layout, malformed dataset.json (with byte offset), or a file it names
/// is missing.
[[nodiscard]] Dataset open_dataset(const std::string& root,
                                   std::optional<DatasetLayout> layout = std::nullopt);

/// Indices of channels by name, in the order asked for; no names: all channels.
/// Throws ConfigError naming the nearest known channel.
[[nodiscard]] std::vector<int64_t> select_channels(const Dataset& dataset,
                                                   const std::vector<std::string>& names);

}  // namespace wholemount
