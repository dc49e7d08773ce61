#pragma once

#include <optional>
#include <string>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// True where a folder of `root` holds a FLAIR image named after it.
[[nodiscard]] bool is_brats_layout(const std::string& root);

/// A data set of the one case whose files are in `folder` and named after it; none if it is no such
/// folder. Throws FileError when it has some channels and not the others.
[[nodiscard]] std::optional<Dataset> find_brats_case(const std::string& folder);

/// Reads folders of the brain tumour segmentation challenges; see open_dataset.
[[nodiscard]] Dataset read_brats_layout(const std::string& root);

}  // namespace wholemount
