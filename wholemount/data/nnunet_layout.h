#pragma once

#include <string>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// True where `root` has a dataset.json with "channel_names".
[[nodiscard]] bool is_nnunet_layout(const std::string& root);

/// Reads nnU-Net's raw format; see open_dataset.
[[nodiscard]] Dataset read_nnunet_layout(const std::string& root);

}  // namespace wholemount
