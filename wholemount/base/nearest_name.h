#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wholemount {

/// The known name a mistyped one most likely meant: smallest edit distance (insertions, deletions,
/// substitutions and swaps of neighbours count one each; case and '-' against '_' count nothing).
/// Empty when nothing is near: the distance must be at most a third of the longer name, rounded up.
[[nodiscard]] std::string nearest_name(std::string_view wrong,
                                       std::span<const std::string_view> known);
[[nodiscard]] std::string nearest_name(std::string_view wrong,
                                       const std::vector<std::string>& known);

/// For error messages: "; did you mean \"batch\"?" or, when nothing is near, "; known: a, b, c".
[[nodiscard]] std::string suggestion(std::string_view wrong,
                                     std::span<const std::string_view> known);
[[nodiscard]] std::string suggestion(std::string_view wrong, const std::vector<std::string>& known);

}  // namespace wholemount
