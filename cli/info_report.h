#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace wholemount::cli {

/// What `info` tells about one thing, for scripts and for people.
struct InfoReport {
  nlohmann::ordered_json json;
  std::string kind;                                       ///< "NIfTI-1 scan", "data set" ...
  std::vector<std::pair<std::string, std::string>> rows;  ///< name and text
  /// Set when the thing can be described, but no command would accept it (exit 3).
  std::optional<std::string> problem;
};

// Each reads all there is, so that damage is found; they throw FileError.

/// A NIfTI volume, with the values of each channel.
[[nodiscard]] InfoReport describe_scan(const std::string& path);
/// A model.safetensors.
[[nodiscard]] InfoReport describe_model(const std::string& path);
struct DatasetInfoOptions {
  bool check = false;  ///< read every voxel of every case
  int threads = 1;
};
/// A folder in one of the data-set layouts: all headers, the voxels of some cases or of all.
[[nodiscard]] InfoReport describe_dataset(const std::string& path,
                                          const DatasetInfoOptions& options);
/// A folder that `train` wrote.
[[nodiscard]] InfoReport describe_run(const std::string& path);
/// True where `path` is a folder with files only `train` writes.
[[nodiscard]] bool is_run_folder(const std::string& path);
/// The machine this process runs on.
[[nodiscard]] InfoReport describe_machine();

/// "1.5", "0.9375", "1e-07": six significant digits.
[[nodiscard]] std::string format_number(double value);
/// "[a, b, c]" of numbers.
template <class Numbers>
[[nodiscard]] std::string format_list(const Numbers& numbers) {
  std::string text;
  for (const auto number : numbers) {
    text += (text.empty() ? "[" : ", ") + format_number(static_cast<double>(number));
  }
  return (text.empty() ? "[" : text) + "]";
}

}  // namespace wholemount::cli
