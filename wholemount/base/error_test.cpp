#include "wholemount/base/error.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "wholemount/base/checked.h"
#include "wholemount/base/function_ref.h"

namespace wholemount {
namespace {

TEST(Error, every_kind_leads_to_its_exit_code) {
  EXPECT_EQ(ConfigError("x").exit_code(), ExitCode::usage);
  EXPECT_EQ(ShapeError("x").exit_code(), ExitCode::usage);
  EXPECT_EQ(FileError("p", "x").exit_code(), ExitCode::input);
  EXPECT_EQ(MemoryBudgetError("x").exit_code(), ExitCode::memory);
  EXPECT_EQ(OutputError("p", "x").exit_code(), ExitCode::output);
  EXPECT_EQ(InternalError("x").exit_code(), ExitCode::internal);
}

TEST(Error, file_error_names_path_and_byte) {
  EXPECT_STREQ(FileError("scan.nii", 348, "truncated").what(), "scan.nii: at byte 348: truncated");
}

TEST(Error, failed_check_names_condition_and_place) {
  const int two = 2;
  WM_CHECK(two == 2, "not reached");
  try {
    WM_CHECK(two == 3, "numbers changed");
    FAIL();
  } catch (const InternalError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("numbers changed"), std::string::npos);
    EXPECT_NE(message.find("two == 3"), std::string::npos);
    EXPECT_NE(message.find("error_test.cpp"), std::string::npos);
  }
}

TEST(Checked, overflow_is_a_shape_error) {
  EXPECT_EQ(checked_multiply(int64_t{1} << 31, int64_t{1} << 31), int64_t{1} << 62);
  EXPECT_THROW((void)checked_multiply(int64_t{1} << 32, int64_t{1} << 32), ShapeError);
  EXPECT_EQ(checked_add(INT64_MAX - 1, 1), INT64_MAX);
  EXPECT_THROW((void)checked_add(INT64_MAX, 1), ShapeError);
}

TEST(Checked, rounding_goes_up_to_the_unit) {
  EXPECT_EQ(round_up(0, 16), 0);
  EXPECT_EQ(round_up(1, 16), 16);
  EXPECT_EQ(round_up(16, 16), 16);
  EXPECT_EQ(divide_up(17, 16), 2);
}

TEST(Checked, rounding_up_past_the_largest_integer_is_a_shape_error) {
  EXPECT_THROW((void)round_up(INT64_MAX - 3, 16), ShapeError);
}

TEST(FunctionRef, calls_the_callable_it_was_made_from) {
  int calls = 0;
  auto count = [&calls](int by) { return calls += by; };
  const FunctionRef<int(int)> reference = count;
  EXPECT_EQ(reference(3), 3);
  EXPECT_EQ(reference(4), 7);
}

}  // namespace
}  // namespace wholemount
