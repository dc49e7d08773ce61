#include "wholemount/data/folders_layout.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include "wholemount/base/error.h"
#include "wholemount/data/layout_files.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

namespace {

namespace fs = std::filesystem;

bool is_image(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::array<const char*, 5> kSuffixes{".tif", ".tiff", ".png", ".nii", ".nii.gz"};
  return std::any_of(kSuffixes.begin(), kSuffixes.end(),
                     [&](const char* suffix) { return lower.ends_with(suffix); });
}

std::vector<std::string> images_in(const std::string& folder) {
  std::vector<std::string> images;
  for (const std::string& name : sorted_entries(folder)) {
    if (is_image(name)) images.push_back(name);
  }
  return images;
}

std::vector<std::string> class_folders(const std::string& root) {
  std::vector<std::string> folders;
  for (const std::string& name : sorted_entries(root)) {
    const std::string folder = (fs::path(root) / name).string();
    if (fs::is_directory(folder) && !images_in(folder).empty()) folders.push_back(name);
  }
  return folders;
}

}  // namespace

bool is_folders_layout(const std::string& root) {
  // These two names belong to segmentation data sets; there they are no classes.
  for (const char* name : {"imagesTr", "labelsTr"}) {
    if (fs::is_directory(fs::path(root) / name)) return false;
  }
  return fs::is_directory(root) && images_in(root).empty() && class_folders(root).size() >= 2;
}

Dataset read_folders_layout(const std::string& root) {
  Dataset dataset;
  dataset.layout = DatasetLayout::folders;
  dataset.root = root;
  dataset.name = fs::path(root).lexically_normal().filename().string();
  std::vector<std::string> class_names;
  for (const std::string& folder : class_folders(root)) {
    for (const std::string& name : images_in((fs::path(root) / folder).string())) {
      Case subject;
      subject.id = folder + "/" + case_id(name);
      subject.channels = {{(fs::path(root) / folder / name).string(), 0}};
      dataset.cases.push_back(std::move(subject));
      class_names.push_back(folder);
    }
  }
  if (dataset.cases.empty()) throw FileError(root, "holds no folder with images");
  assign_classes(class_names, &dataset);
  const int64_t channels = open_volume(dataset.cases[0].channels[0].path)->header().channels;
  for (int64_t c = 0; c < channels; ++c) dataset.channel_names.push_back(std::to_string(c));
  for (Case& subject : dataset.cases) {
    const std::string file = subject.channels[0].path;
    subject.channels.clear();
    for (int64_t c = 0; c < channels; ++c) subject.channels.push_back({file, c});
  }
  return dataset;
}

}  // namespace wholemount
