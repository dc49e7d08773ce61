#pragma once

#include <string>
#include <string_view>

namespace wholemount {

/// Base64 of RFC 4648 (with padding), for pictures inside a page: 4 characters for 3 bytes.
[[nodiscard]] std::string encode_base64(std::string_view bytes);

}  // namespace wholemount
