#pragma once

#include <string>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// True where `root` has a dataset.json with a "training" list of {image, label} pairs.
[[nodiscard]] bool is_msd_layout(const std::string& root);

/// Reads dataset.json of the Medical Segmentation Decathlon; see open_dataset.
[[nodiscard]] Dataset read_msd_layout(const std::string& root);

}  // namespace wholemount
