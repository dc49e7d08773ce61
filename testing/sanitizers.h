#pragma once

#include <cstddef>
#include <vector>

namespace wholemount {

#ifdef __SANITIZE_THREAD__
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

/// The first `few` cases under the thread sanitizer, under which everything takes up to a hundred
/// times as long and a race shows in any of them; else all.
template <typename Case>
[[nodiscard]] std::vector<Case> cases_to_run(std::vector<Case> cases, size_t few) {
  if (kThreadSanitizer && cases.size() > few) {
    cases.erase(cases.begin() + static_cast<std::ptrdiff_t>(few), cases.end());
  }
  return cases;
}

}  // namespace wholemount
