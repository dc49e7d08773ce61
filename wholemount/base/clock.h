#pragma once

namespace wholemount {

/// Monotonic seconds since an arbitrary origin.
[[nodiscard]] double monotonic_seconds();

}  // namespace wholemount
