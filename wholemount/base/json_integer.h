#pragma once

#include <cstdint>
#include <optional>

namespace wholemount {

/// The whole number of 64 bits that a JSON value (nlohmann's, of any flavour) holds; nullopt for
/// anything else. get<int64_t>() takes 1e30 and 2^63 too, the former with undefined behaviour, the
/// latter as a negative number.
template <class Json>
[[nodiscard]] std::optional<int64_t> json_integer(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.template get<uint64_t>();
    if (number > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (!value.is_number_integer()) return std::nullopt;
  return value.template get<int64_t>();
}

}  // namespace wholemount
