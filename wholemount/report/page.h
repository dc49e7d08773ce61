#pragma once

#include <string>
#include <string_view>

namespace wholemount {

/// A complete page around `body` (markup): style and script inside, nothing loaded from elsewhere.
/// Light and dark follow the reader's setting; printing is always light.
[[nodiscard]] std::string html_page(const std::string& title, std::string_view body);

}  // namespace wholemount
