#include "wholemount/base/nesting.h"

#include <gtest/gtest.h>

#include <string>

namespace wholemount {
namespace {

TEST(Nesting, of_json_counts_brackets_outside_strings) {
  EXPECT_EQ(json_nesting(""), 0);
  EXPECT_EQ(json_nesting(R"({"a": [1, [2], {}], "b": []})"), 3);
  EXPECT_EQ(json_nesting(R"(["[[[[", "\"[[[", {"{{": 1}])"), 2);
  EXPECT_EQ(json_nesting("]]]][["), 0) << "what closes before it opens is no document";
  EXPECT_EQ(json_nesting(std::string(1000, '[')), 1000);
}

TEST(Nesting, of_toml_counts_the_dots_of_one_key) {
  EXPECT_EQ(toml_key_nesting("a = 1\nb = [0.1, 0.2, 0.3]\n"), 1);
  EXPECT_EQ(toml_key_nesting("[a.b.c]\nd.\"e\".f.g = 1.5\n"), 3);
  EXPECT_EQ(toml_key_nesting("a={b.c.d=1,e.f=2}"), 2);
}

}  // namespace
}  // namespace wholemount
