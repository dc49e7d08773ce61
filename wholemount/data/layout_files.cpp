#include "wholemount/data/layout_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <span>

#include "wholemount/base/error.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

namespace fs = std::filesystem;

namespace {
constexpr size_t kMostClasses = 255;  // what a u8 target holds beside "ignore"
}

bool archiver_leftover(const std::string& file) {
  return fs::path(file).filename().string().starts_with("._");
}

std::string case_id(const std::string& file) {
  const std::string name = fs::path(file).filename().string();
  for (const char* suffix : {".nii.gz", ".nii", ".tif", ".tiff", ".png"}) {
    if (name.ends_with(suffix)) return name.substr(0, name.size() - std::string(suffix).size());
  }
  return name;
}

bool is_file(const std::string& path) {
  // The system would see the part before a zero only.
  if (path.find('\0') != std::string::npos) return false;
  std::error_code error;  // such as a name too long, of which nothing can exist
  return fs::is_regular_file(path, error);
}

std::string existing_file(const std::string& folder, const std::string& file,
                          const std::string& description) {
  const std::string path = (fs::path(folder) / file).lexically_normal().string();
  if (file.find('\0') != std::string::npos) {
    throw FileError(path.substr(0, path.find('\0')),
                    "no path can hold a zero byte, but one that " + description + " names does");
  }
  if (!is_file(path)) {
    throw FileError(path, "is missing, but " + description + " names it (as \"" + file + "\")");
  }
  return path;
}

std::vector<std::string> sorted_entries(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    if (!archiver_leftover(name)) names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

void sort_labels(std::vector<LabelName>* labels, const std::string& path) {
  std::sort(labels->begin(), labels->end(),
            [](const LabelName& a, const LabelName& b) { return a.value < b.value; });
  for (size_t i = 0; i < labels->size(); ++i) {
    const int64_t value = (*labels)[i].value;
    if (value < 0 || value > 255) {
      throw FileError(path, "label value " + std::to_string(value) + " is outside 0 to 255");
    }
    if (i > 0 && (*labels)[i - 1].value == value) {
      throw FileError(path, "label value " + std::to_string(value) + " is named twice");
    }
  }
}

void assign_classes(const std::vector<std::string>& names, Dataset* dataset) {
  const std::set<std::string> distinct(names.begin(), names.end());
  dataset->classes.assign(distinct.begin(), distinct.end());
  if (dataset->classes.size() > kMostClasses) {
    throw FileError(dataset->root, "names " + std::to_string(dataset->classes.size()) +
                                       " classes; at most " + std::to_string(kMostClasses) +
                                       " can be told apart");
  }
  for (size_t i = 0; i < names.size(); ++i) {
    dataset->cases[i].class_index =
        std::lower_bound(dataset->classes.begin(), dataset->classes.end(), names[i]) -
        dataset->classes.begin();
  }
}

std::vector<int64_t> label_values_in(const std::string& path) {
  const std::unique_ptr<VolumeReader> reader = open_volume(path);
  const int64_t voxels = volume(reader->header().extent);
  std::array<uint8_t, 16384> part{};
  std::array<bool, 256> seen{};
  for (int64_t first = 0; first < voxels; first += static_cast<int64_t>(part.size())) {
    const int64_t count = std::min<int64_t>(static_cast<int64_t>(part.size()), voxels - first);
    const std::span values(part.data(), static_cast<size_t>(count));
    reader->read_label_run({0, first, count}, values);
    for (const uint8_t value : values) seen[value] = true;
  }
  std::vector<int64_t> found;
  for (size_t value = 0; value < seen.size(); ++value) {
    if (seen[value]) found.push_back(static_cast<int64_t>(value));
  }
  return found;
}

}  // namespace wholemount
