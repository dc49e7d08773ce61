#pragma once

#include <string>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// True where a folder of `root` holds a FLAIR image named after it.
[[nodiscard]] bool is_brats_layout(const std::string& root);

/// Reads folders of the brain tumour segmentation challenges; see open_dataset.
[[nodiscard]] Dataset read_brats_layout(const std::string& root);

}  // namespace wholemount
