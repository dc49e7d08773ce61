#pragma once

#include <string>

namespace wholemount {

/// The operating system's text for an errno value, e.g. "No space left on device". Thread-safe.
[[nodiscard]] std::string system_error_text(int error_number);

}  // namespace wholemount
