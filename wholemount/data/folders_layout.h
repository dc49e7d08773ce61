#pragma once

#include <string>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// True where `root` holds at least two folders with images directly in them, and no images itself.
[[nodiscard]] bool is_folders_layout(const std::string& root);

/// Reads one folder of images a class; see open_dataset.
[[nodiscard]] Dataset read_folders_layout(const std::string& root);

}  // namespace wholemount
