#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wholemount {

struct ConfigEntry;

/// A TOML value with the place it was written at, for messages.
struct ConfigNode {
  using Array = std::vector<ConfigNode>;
  using Table = std::vector<ConfigEntry>;
  std::variant<bool, int64_t, double, std::string, Array, Table> value;
  std::string where;  ///< "run.toml:12" or "--set train.epochs=3"

  /// "an integer", "a table" ...
  [[nodiscard]] std::string type_name() const;
};

struct ConfigEntry {
  std::string key;
  ConfigNode node;
};

/// Parses a TOML document; the result is a Table, keys in the order of their names. Throws
/// ConfigError with line and column.
[[nodiscard]] ConfigNode parse_toml(std::string_view text, const std::string& source);

/// Parses one "a.b=value"; the result's key is "a.b". The value is TOML; what is not TOML and does
/// not begin like an array, table or quoted text is taken as text. Throws ConfigError.
[[nodiscard]] ConfigEntry parse_override(const std::string& text);

/// `text` as a TOML basic string, quotes included.
[[nodiscard]] std::string toml_quote(std::string_view text);

/// The shortest TOML float that reads back as exactly `number` (finite).
[[nodiscard]] std::string toml_number(double number);

}  // namespace wholemount
