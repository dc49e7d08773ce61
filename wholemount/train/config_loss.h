#pragma once

#include "wholemount/train/config_schema.h"

namespace wholemount {

/// The entry for train.loss: "auto", the short form "dice+bce" (equal weights that sum to 1), one
/// table, or a list of tables {name, weight, pooled, smooth, label_smoothing}.
[[nodiscard]] ConfigRule loss_rule();

}  // namespace wholemount
