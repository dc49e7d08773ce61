#include "wholemount/predict/prediction_inputs.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/data/brats_layout.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

namespace {

namespace fs = std::filesystem;

std::string stem_of(const std::string& path) {
  std::string name = fs::path(path).filename().string();
  for (const char* suffix : {".nii.gz", ".nii", ".hdr", ".img"}) {
    if (name.ends_with(suffix) && name != suffix) return name.substr(0, name.rfind(suffix));
  }
  return name;
}

/// NAME and 12 of "NAME_0012".
struct NumberedStem {
  std::string name;
  int64_t number = 0;
};

std::optional<NumberedStem> numbered(const std::string& stem) {
  constexpr size_t kEnding = 5;
  if (stem.size() <= kEnding || stem[stem.size() - kEnding] != '_') return std::nullopt;
  const std::string digits = stem.substr(stem.size() - kEnding + 1);
  const bool all = std::all_of(digits.begin(), digits.end(),
                               [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!all) return std::nullopt;
  return NumberedStem{stem.substr(0, stem.size() - kEnding), std::stoll(digits)};
}

std::vector<std::string> scans_in(const std::string& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool is_scan = (name.ends_with(".nii") || name.ends_with(".nii.gz")) && name.size() > 4;
    // Archivers leave these beside the real ones.
    if (is_scan && !name.starts_with("._")) found.push_back(entry.path().string());
  }
  if (found.empty()) {
    throw FileError(folder,
                    "the folder holds no .nii or .nii.gz file, and no data set of a known layout");
  }
  std::sort(found.begin(), found.end());
  return found;
}

class InputReader {
 public:
  explicit InputReader(const PredictionChannels& channels) : channels_(channels) {}

  void add(const std::string& input) {
    std::error_code ignored;
    const bool is_folder = fs::is_directory(input, ignored);
    if ((is_folder || input.ends_with(".csv")) && add_dataset(input)) return;
    if (!is_folder) {
      files_.push_back({input, stem_of(input)});
      return;
    }
    if (std::optional<Dataset> one = find_brats_case(input)) {
      add_cases(std::move(*one));
      return;
    }
    std::vector<File> files;
    for (const std::string& path : scans_in(input)) files.push_back({path, stem_of(path)});
    const bool all_first = std::all_of(files.begin(), files.end(), [](const File& file) {
      const std::optional<NumberedStem> stem = numbered(file.stem);
      return stem && stem->number == 0;
    });
    if (all_first) {
      for (File& file : files) file.stem = numbered(file.stem)->name;
    }
    std::move(files.begin(), files.end(), std::back_inserter(files_));
  }

  std::vector<Case> finish() {
    add_files();
    std::set<std::string> names;
    for (const Case& one : cases_) {
      if (!names.insert(one.id).second) {
        throw ConfigError("two inputs are named " + one.id +
                          "; their predictions would overwrite each other: use two --out folders");
      }
    }
    return std::move(cases_);
  }

 private:
  struct File {
    std::string path;
    std::string stem;
  };

  /// The channel the model's channel `i` is in a set of `available`.
  [[nodiscard]] int64_t wanted(int64_t i, int64_t available) const {
    const bool chosen =
        available != channels_.count && i < static_cast<int64_t>(channels_.indices.size());
    return chosen ? channels_.indices[static_cast<size_t>(i)] : i;
  }

  bool add_dataset(const std::string& input) {
    const std::optional<DatasetLayout> layout = find_layout(input);
    if (!layout || (*layout == DatasetLayout::folders && !channels_.whole_image)) return false;
    add_cases(open_dataset(input, layout));
    return true;
  }

  void add_cases(Dataset dataset) {
    const std::vector<int64_t> indices = select_channels(dataset, channels_.names);
    if (static_cast<int64_t>(indices.size()) != channels_.count) {
      throw FileError(dataset.root, "has " + std::to_string(indices.size()) +
                                        " channels, the model reads " +
                                        std::to_string(channels_.count));
    }
    for (std::vector<Case>* part : {&dataset.cases, &dataset.unlabelled}) {
      for (Case& one : *part) {
        std::vector<ChannelFile> files;
        for (const int64_t index : indices) {
          files.push_back(one.channels[static_cast<size_t>(index)]);
        }
        one.channels = std::move(files);
        cases_.push_back(std::move(one));
      }
    }
  }

  /// Each file a case, or the files of a case joined.
  void add_files() {
    std::map<std::string, std::map<int64_t, std::string>> parts;  // by name and channel
    for (const File& file : files_) {
      const int64_t available = open_volume(file.path)->header().channels;
      const std::optional<NumberedStem> stem = numbered(file.stem);
      if (channels_.count > 1 && available == 1 && stem) {
        parts[stem->name][stem->number] = file.path;
        continue;
      }
      Case one;
      one.id = file.stem;
      for (int64_t i = 0; i < channels_.count; ++i) {
        const int64_t channel = wanted(i, available);
        if (channel >= available) {
          throw FileError(file.path, "holds " + std::to_string(available) +
                                         " channels; the model reads " +
                                         std::to_string(channels_.count) + " (it wants channel " +
                                         std::to_string(channel) + ")");
        }
        one.channels.push_back({file.path, channel});
      }
      cases_.push_back(std::move(one));
    }
    for (const auto& [name, files] : parts) cases_.push_back(joined(name, files));
  }

  [[nodiscard]] Case joined(const std::string& name,
                            const std::map<int64_t, std::string>& files) const {
    Case one;
    one.id = name;
    for (int64_t i = 0; i < channels_.count; ++i) {
      const int64_t channel = wanted(i, static_cast<int64_t>(files.size()));
      const auto found = files.find(channel);
      if (found == files.end()) {
        throw FileError(files.begin()->second,
                        "holds one channel of " + name + "; the model reads " +
                            std::to_string(channels_.count) +
                            ", and there is no file of its channel " + std::to_string(channel) +
                            " (" + name + "_" + four_digits(channel) + ".nii.gz)");
      }
      one.channels.push_back({found->second, 0});
    }
    return one;
  }

  static std::string four_digits(int64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(4 - std::min<size_t>(4, digits.size()), '0') + digits;
  }

  const PredictionChannels& channels_;
  std::vector<File> files_;
  std::vector<Case> cases_;
};

}  // namespace

std::vector<Case> prediction_inputs(const std::vector<std::string>& inputs,
                                    const PredictionChannels& channels) {
  InputReader reader(channels);
  for (const std::string& input : inputs) reader.add(input);
  return reader.finish();
}

}  // namespace wholemount
