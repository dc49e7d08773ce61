#pragma once

#include <string>

namespace wholemount {

/// Every configuration key with type, default and meaning, as docs/configuration.md: Markdown, one
/// table a TOML table, in the order of the resolved file.
[[nodiscard]] std::string config_reference_markdown();

/// The same for a terminal: "key = default  (type)", and below it the meaning.
[[nodiscard]] std::string config_reference_text();

}  // namespace wholemount
