#pragma once

namespace wholemount {

/// Monotonic seconds since an arbitrary origin.
[[nodiscard]] double monotonic_seconds();

/// Seconds of CPU time that the calling thread has taken.
[[nodiscard]] double thread_cpu_seconds();

/// Seconds since 1970-01-01 UTC by the system's clock, which may jump: for records people read,
/// never for measuring.
[[nodiscard]] double unix_seconds();

}  // namespace wholemount
