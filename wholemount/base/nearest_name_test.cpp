#include "wholemount/base/nearest_name.h"

#include <gtest/gtest.h>

namespace wholemount {
namespace {

const std::vector<std::string> kKeys = {"batch", "micro_batch", "epochs", "schedule", "rate"};

TEST(NearestName, typing_mistakes_find_the_key_that_was_meant) {
  EXPECT_EQ(nearest_name("bacth", kKeys), "batch");         // neighbours swapped
  EXPECT_EQ(nearest_name("epoch", kKeys), "epochs");        // letter missing
  EXPECT_EQ(nearest_name("scheduler", kKeys), "schedule");  // letter too many
  EXPECT_EQ(nearest_name("rote", kKeys), "rate");           // wrong letter
}

TEST(NearestName, case_and_dashes_do_not_count) {
  EXPECT_EQ(nearest_name("Micro-Batch", kKeys), "micro_batch");
}

TEST(NearestName, unrelated_words_find_nothing) {
  EXPECT_EQ(nearest_name("zebra_crossing", kKeys), "");
  EXPECT_EQ(nearest_name("", kKeys), "");
  EXPECT_EQ(nearest_name("batch", std::vector<std::string>{}), "");
}

TEST(Suggestion, names_the_nearest_or_lists_all) {
  EXPECT_EQ(suggestion("bacth", kKeys), "; did you mean \"batch\"?");
  EXPECT_EQ(suggestion("zzzzzzzz", std::vector<std::string>{"a_name", "b_name"}),
            "; known: a_name, b_name");
}

}  // namespace
}  // namespace wholemount
