// The rules of docs/architecture.md ("Floors") hold for every source of the product.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "tests/floors/floor_rules.h"

namespace wholemount {
namespace {

namespace fs = std::filesystem;

const fs::path kRoot = WM_SOURCE_DIR;

std::string read(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<fs::path> files_under(const char* folder, const std::set<std::string>& extensions) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    if (extensions.contains(entry.path().extension())) files.push_back(entry.path());
  }
  return files;
}

std::string relative_to_root(const fs::path& path) { return path.lexically_relative(kRoot); }

TEST(Floors, every_folder_includes_only_lower_floors_and_libraries_stay_confined) {
  size_t num_files = 0;
  for (const char* folder : {"wholemount", "cli"}) {
    for (const fs::path& path : files_under(folder, {".h", ".cpp"})) {
      ++num_files;
      for (const FloorViolation& violation : check_floors(relative_to_root(path), read(path))) {
        ADD_FAILURE() << to_string(violation);
      }
    }
  }
  EXPECT_GT(num_files, 50U) << "the walk found too few sources below " << kRoot;
}

TEST(Floors, sources_compiled_per_instruction_set_reach_only_clean_headers) {
  size_t num_sources = 0;
  for (const fs::path& list : files_under("wholemount", {".txt"})) {
    if (list.filename() != "CMakeLists.txt") continue;
    for (const std::string& source : isa_sources_of(read(list))) {
      ++num_sources;
      std::set<std::string> visited;
      std::vector<std::string> pending = {relative_to_root(list.parent_path() / source)};
      while (!pending.empty()) {
        const std::string path = pending.back();
        pending.pop_back();
        if (!visited.insert(path).second) continue;
        const std::string text = read(kRoot / path);
        for (const FloorViolation& violation : check_isa_source(path, text)) {
          ADD_FAILURE() << to_string(violation) << " (reached from " << source << ")";
        }
        for (const std::string& name : quoted_includes_of(text)) pending.push_back(name);
      }
    }
  }
  EXPECT_GT(num_sources, 0U);
}

bool refuses(const std::string& path, const std::string& line) {
  return !check_floors(path, line + "\n").empty();
}

TEST(FloorRules, lower_floors_and_the_own_folder_are_allowed) {
  EXPECT_FALSE(refuses("wholemount/plan/a.cpp", "#include \"wholemount/graph/graph.h\""));
  EXPECT_FALSE(refuses("wholemount/plan/a.cpp", "#include \"wholemount/plan/b.h\""));
  EXPECT_FALSE(refuses("wholemount/nets/a.cpp", "#include \"wholemount/ops/conv/conv.h\""));
  EXPECT_FALSE(refuses("cli/train.cpp", "#include \"wholemount/report/report.h\""));
}

TEST(FloorRules, higher_and_equal_floors_are_refused) {
  EXPECT_TRUE(refuses("wholemount/base/a.h", "#include \"wholemount/tensor/extent3.h\""));
  EXPECT_TRUE(refuses("wholemount/exec/a.cpp", "#include \"wholemount/nets/unet3d.h\""));
  EXPECT_TRUE(refuses("wholemount/data/a.cpp", "#include \"wholemount/exec/session.h\""));
  EXPECT_TRUE(refuses("wholemount/image/a.cpp", "  #  include \"wholemount/metrics/dice.h\""));
  EXPECT_TRUE(refuses("wholemount/train/a.cpp", "#include \"cli/command.h\""));
  EXPECT_TRUE(refuses("wholemount/base/a.cpp", "#include \"wholemount/attic/a.h\""));
}

TEST(FloorRules, generic_floors_never_name_operators) {
  for (const char* folder : {"graph", "plan", "exec"}) {
    EXPECT_TRUE(refuses(std::string("wholemount/") + folder + "/a.cpp",
                        "#include \"wholemount/ops/conv/conv.h\""));
  }
}

TEST(FloorRules, operators_build_on_each_other_only_along_the_list) {
  EXPECT_FALSE(refuses("wholemount/ops/conv_transpose/a.cpp",
                       "#include \"wholemount/ops/conv/geometry.h\""));
  EXPECT_FALSE(
      refuses("wholemount/ops/norm/a.cpp", "#include \"wholemount/ops/elementwise/add.h\""));
  EXPECT_TRUE(refuses("wholemount/ops/conv/a.cpp",
                      "#include \"wholemount/ops/conv_transpose/conv_transpose.h\""));
  EXPECT_TRUE(refuses("wholemount/ops/pool/a.cpp", "#include \"wholemount/ops/norm/norm.h\""));
}

TEST(FloorRules, libraries_are_refused_outside_their_home) {
  EXPECT_TRUE(refuses("wholemount/exec/a.cpp", "#include <thread>"));
  EXPECT_TRUE(refuses("cli/a.cpp", "  std::thread worker(run);"));
  EXPECT_FALSE(refuses("wholemount/base/parallel/a.cpp", "#include <thread>"));
  EXPECT_TRUE(refuses("wholemount/comm/solo.cpp", "#include <mpi.h>"));
  EXPECT_FALSE(refuses("wholemount/comm/mpi.cpp", "#include <mpi.h>"));
  EXPECT_TRUE(refuses("wholemount/report/a.cpp", "#include <png.h>"));
  EXPECT_FALSE(refuses("wholemount/image/a.cpp", "#include <zlib.h>"));
  EXPECT_TRUE(refuses("wholemount/ops/conv/a.cpp", "#pragma omp parallel for"));
  EXPECT_TRUE(refuses("wholemount/exec/a.cpp", "#include <openssl/evp.h>"));
}

TEST(FloorRules, tests_may_include_anything_and_the_product_no_test_code) {
  EXPECT_FALSE(refuses("wholemount/graph/a_test.cpp", "#include \"testing/op_contract.h\""));
  EXPECT_TRUE(refuses("wholemount/graph/a.cpp", "#include \"testing/op_contract.h\""));
  EXPECT_TRUE(refuses("cli/a.cpp", "#include \"testing/fill.h\""));
}

TEST(FloorRules, comments_do_not_count) {
  EXPECT_FALSE(refuses("wholemount/exec/a.cpp", "// no std::thread here"));
}

TEST(FloorRules, sources_per_instruction_set_take_c_headers_and_their_own) {
  const std::string path = "wholemount/ops/pool/pool_rows.cpp";
  const auto allowed = [&](const std::string& line) {
    return check_isa_source(path, line + "\n").empty();
  };
  EXPECT_TRUE(allowed("#include <cstdint>"));
  EXPECT_TRUE(allowed("#include \"wholemount/base/simd/f16.h\""));
  EXPECT_TRUE(allowed("#include \"wholemount/ops/pool/pool_rows.h\""));
  EXPECT_FALSE(allowed("#include <algorithm>"));
  EXPECT_FALSE(allowed("#include \"wholemount/base/checked.h\""));
  EXPECT_FALSE(allowed("#include \"wholemount/ops/conv/geometry.h\""));
}

TEST(FloorRules, sources_per_instruction_set_are_found_in_the_build_files) {
  EXPECT_EQ(isa_sources_of("wm_library(a SOURCES b.cpp)\nwm_isa_sources(a c.cpp\n  d/e.cpp)\n"),
            (std::vector<std::string>{"c.cpp", "d/e.cpp"}));
}

}  // namespace
}  // namespace wholemount
