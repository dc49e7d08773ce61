#include "tests/floors/floor_rules.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <utility>

namespace wholemount {

namespace {

// A folder includes itself and folders on lower floors.
const std::map<std::string, int, std::less<>> kFloors = {
    {"base", 0},    {"tensor", 1}, {"pack", 1},    {"comm", 1},  {"image", 2},
    {"metrics", 2}, {"graph", 3},  {"ops", 4},     {"plan", 5},  {"exec", 6},
    {"data", 6},    {"nets", 6},   {"predict", 7}, {"train", 8}, {"report", 9}};

// The generic floors: nodes hold shared_ptr<const Op>, nobody here knows an operator.
const std::set<std::string, std::less<>> kNeverNameOperators = {"graph", "plan", "exec"};

// Operator folders others may build on: the makers of pointwise nodes, with which a backward pass
// is written, and the correlation that a transposed convolution is the gradient of.
const std::set<std::string, std::less<>> kSharedOperators = {"activation", "elementwise"};
const std::set<std::pair<std::string, std::string>> kOperatorPairs = {{"conv_transpose", "conv"},
                                                                      {"linear", "conv"}};

struct Confinement {
  std::vector<std::string_view> marks;  ///< an include or a use, as it stands in the line
  std::vector<std::string_view> homes;  ///< path prefixes where it is allowed
  std::string_view reason;
};

const std::vector<Confinement> kConfinements = {
    {{"<thread>", "<mutex>", "<shared_mutex>", "<condition_variable>", "<future>", "<semaphore>",
      "<barrier>", "<latch>", "<pthread.h>", "std::thread", "std::jthread", "std::async",
      "pthread_create"},
     {"wholemount/base/parallel/"},
     "threads live only in base/parallel"},
    {{"<mpi.h>"}, {"wholemount/comm/mpi.cpp"}, "MPI lives only in comm/mpi.cpp"},
    {{"<nifti", "<tiff", "<png", "<zlib.h>", "<libdeflate"},
     {"wholemount/image/"},
     "file-format libraries live only in image/"},
    {{"<omp.h>", "#pragma omp", "<dnnl", "<oneapi/dnnl", "<cblas", "<mkl"},
     {"bench/"},
     "OpenMP, oneDNN and BLAS live only in bench/"},
    {{"<openssl/"}, {"wholemount/base/sha256.cpp"}, "OpenSSL lives only in base/sha256.cpp"},
};

bool starts_with_any(std::string_view text, const std::vector<std::string_view>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [text](std::string_view prefix) { return text.starts_with(prefix); });
}

std::string_view part(std::string_view path, int index) {
  for (; index > 0; --index) {
    const size_t slash = path.find('/');
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
  return path.substr(0, path.find('/'));
}

bool is_test_code(std::string_view path) {
  return path.ends_with("_test.cpp") || starts_with_any(path, {"tests/", "testing/", "bench/"});
}

// What stands between the quotes or brackets of an #include line, brackets kept; empty if none.
std::string_view included(std::string_view line, char open, char close) {
  const size_t hash = line.find_first_not_of(" \t");
  if (hash == std::string_view::npos || line[hash] != '#') return {};
  if (line.find("include") == std::string_view::npos) return {};
  const size_t begin = line.find(open);
  const size_t end = begin == std::string_view::npos ? begin : line.find(close, begin + 1);
  return end == std::string_view::npos ? std::string_view{} : line.substr(begin, end - begin + 1);
}

std::string_view quoted_include(std::string_view line) {
  const std::string_view name = included(line, '"', '"');
  return name.empty() ? name : name.substr(1, name.size() - 2);
}

template <class Visit>
void for_each_line(std::string_view text, Visit visit) {
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    visit(number, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string_view without_comment(std::string_view line) { return line.substr(0, line.find("//")); }

// Why `from` (a path in wholemount/) may not include `to`; empty when it may.
std::string refusal(std::string_view from, std::string_view to) {
  if (!to.starts_with("wholemount/")) return "the library includes only wholemount/...";
  const std::string_view from_folder = part(from, 1);
  const std::string_view to_folder = part(to, 1);
  const auto from_floor = kFloors.find(from_folder);
  const auto to_floor = kFloors.find(to_folder);
  if (from_floor == kFloors.end()) return std::string(from_folder) + "/ has no floor";
  if (to_floor == kFloors.end()) return std::string(to_folder) + "/ has no floor";
  const std::string pair =
      std::string(from_folder) + "/ (floor " + std::to_string(from_floor->second) + ") includes " +
      std::string(to_folder) + "/ (floor " + std::to_string(to_floor->second) + ")";
  if (from_folder != to_folder) {
    if (to_floor->second >= from_floor->second) return pair;
    if (to_folder == "ops" && kNeverNameOperators.contains(from_folder)) {
      return pair + ": it must know operators only as Op";
    }
    return {};
  }
  if (from_folder != "ops") return {};
  const std::string from_op(part(from, 2));
  const std::string to_op(part(to, 2));
  if (from_op == to_op || kSharedOperators.contains(to_op)) return {};
  if (kOperatorPairs.contains({from_op, to_op})) return {};
  return "ops/" + from_op + " includes ops/" + to_op + ": not on the list of allowed pairs";
}

bool is_c_header(std::string_view name) {
  static const std::set<std::string_view> kAllowed = {
      "<cstddef>",  "<cstdint>",  "<cstring>",    "<cfloat>",   "<climits>",
      "<cmath>",    "<stddef.h>", "<stdint.h>",   "<string.h>", "<float.h>",
      "<limits.h>", "<math.h>",   "<immintrin.h>"};
  return kAllowed.contains(name);
}

}  // namespace

std::string to_string(const FloorViolation& violation) {
  return violation.path + ":" + std::to_string(violation.line) + ": " + violation.reason;
}

std::vector<FloorViolation> check_floors(const std::string& path, std::string_view text) {
  std::vector<FloorViolation> violations;
  if (is_test_code(path)) return violations;
  const bool in_library = path.starts_with("wholemount/");
  for_each_line(text, [&](int number, std::string_view line) {
    const std::string_view code = without_comment(line);
    const std::string_view name = quoted_include(code);
    if (!name.empty() && in_library) {
      const std::string reason = refusal(path, name);
      if (!reason.empty()) violations.push_back({path, number, reason});
    } else if (starts_with_any(name, {"tests/", "testing/", "bench/"})) {
      violations.push_back({path, number, "the product includes test code"});
    }
    for (const Confinement& confinement : kConfinements) {
      if (starts_with_any(path, confinement.homes)) continue;
      for (const std::string_view mark : confinement.marks) {
        if (code.find(mark) == std::string_view::npos) continue;
        violations.push_back(
            {path, number, std::string(mark) + ": " + std::string(confinement.reason)});
      }
    }
  });
  return violations;
}

std::vector<FloorViolation> check_isa_source(const std::string& path, std::string_view text) {
  std::vector<FloorViolation> violations;
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  for_each_line(text, [&](int number, std::string_view line) {
    const std::string_view system = included(without_comment(line), '<', '>');
    if (!system.empty() && !is_c_header(system)) {
      violations.push_back({path, number,
                            std::string(system) + " reaches a source compiled per instruction "
                                                  "set: only C headers may"});
    }
    const std::string_view name = quoted_include(without_comment(line));
    if (!name.empty() && !name.starts_with("wholemount/base/simd/") && !name.starts_with(folder)) {
      violations.push_back({path, number,
                            std::string(name) + " reaches a source compiled per instruction set: "
                                                "only base/simd and its own folder may"});
    }
  });
  return violations;
}

std::vector<std::string> isa_sources_of(std::string_view cmake_text) {
  std::vector<std::string> sources;
  constexpr std::string_view kCall = "wm_isa_sources(";
  for (size_t at = cmake_text.find(kCall); at != std::string_view::npos;
       at = cmake_text.find(kCall, at + 1)) {
    const size_t begin = at + kCall.size();
    const size_t end = cmake_text.find(')', begin);
    std::string word;
    for (const char c : std::string(cmake_text.substr(begin, end - begin)) + " ") {
      if (std::isspace(static_cast<unsigned char>(c)) == 0) {
        word += c;
        continue;
      }
      if (word.ends_with(".cpp")) sources.push_back(word);
      word.clear();
    }
  }
  return sources;
}

std::vector<std::string> quoted_includes_of(std::string_view text) {
  std::vector<std::string> names;
  for_each_line(text, [&names](int, std::string_view line) {
    const std::string_view name = quoted_include(without_comment(line));
    if (!name.empty()) names.emplace_back(name);
  });
  return names;
}

}  // namespace wholemount
