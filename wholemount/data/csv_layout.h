#pragma once

#include <string>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// True where `root` is a .csv file or a folder with manifest.csv.
[[nodiscard]] bool is_csv_layout(const std::string& root);

/// Reads a manifest; see open_dataset.
[[nodiscard]] Dataset read_csv_layout(const std::string& root);

}  // namespace wholemount
