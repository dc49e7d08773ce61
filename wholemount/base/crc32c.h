#pragma once

#include <cstdint>
#include <string_view>

namespace wholemount {

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720, appendix B.4) of bytes, as
/// record files use it.
[[nodiscard]] uint32_t crc32c(std::string_view bytes);

}  // namespace wholemount
