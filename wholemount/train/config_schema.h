#pragma once

#include <functional>
#include <string>
#include <vector>

#include "wholemount/train/config.h"
#include "wholemount/train/config_node.h"

namespace wholemount {

/// How one key is read and written. All there is to know about a key stands in one entry of the
/// schema: reading, resolved file, digest and documentation all go through it.
struct ConfigRule {
  ConfigKey key;  ///< default_value is filled in by writing a default RunConfig
  /// Stores the value; throws ConfigError when type or range do not fit.
  std::function<void(const ConfigNode& node, RunConfig& config)> read;
  /// The value as TOML; empty: there is none.
  std::function<std::string(const RunConfig& config)> write;
  /// Whether the key belongs to config_digest for this configuration.
  std::function<bool(const RunConfig& config)> counts;
};

/// All rules in the order of the resolved file.
[[nodiscard]] const std::vector<ConfigRule>& config_schema();

}  // namespace wholemount
