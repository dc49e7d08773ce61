#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wholemount {

/// One line of a source that breaks a rule of the house (docs/architecture.md, "Floors").
struct FloorViolation {
  std::string path;
  int line = 0;
  std::string reason;
};

/// "wholemount/plan/planner.cpp:3: plan/ includes ops/..., ..."
[[nodiscard]] std::string to_string(const FloorViolation& violation);

/// Checks the includes and the confinements of one source. `path` is relative to the repository
/// root ("wholemount/ops/pool/max_pool.cpp"). Tests (..._test.cpp, tests/, testing/) and bench/ may
/// include anything.
[[nodiscard]] std::vector<FloorViolation> check_floors(const std::string& path,
                                                       std::string_view text);

/// Checks a source compiled per instruction set, or a header such a source includes: only
/// base/simd, headers of its own folder and C headers (wholemount/base/simd/isa.h says why).
[[nodiscard]] std::vector<FloorViolation> check_isa_source(const std::string& path,
                                                           std::string_view text);

/// The sources named in the wm_isa_sources(target a.cpp b.cpp) calls of a CMakeLists.txt.
[[nodiscard]] std::vector<std::string> isa_sources_of(std::string_view cmake_text);

/// The quoted includes of a source ("wholemount/...").
[[nodiscard]] std::vector<std::string> quoted_includes_of(std::string_view text);

}  // namespace wholemount
