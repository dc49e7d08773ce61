#include "wholemount/train/progress.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace wholemount {
namespace {

ProgressState state(int64_t step) {
  ProgressState result;
  result.epoch = 3;
  result.epochs = 25;
  result.step = step;
  result.steps = 650;
  result.loss = 0.12344;
  result.metric = 0.8123;
  result.seconds_left = 3753.2;
  result.bytes_now = size_t{7} << 30;
  result.bytes_planned = size_t{8} << 30;
  return result;
}

TEST(Progress, line_says_all_that_is_known) {
  EXPECT_EQ(
      progress_line(state(120)),
      "epoch 3/25  step 120/650  loss 0.1234  Dice 0.812  1:02:33 left  7.00 GiB of 8.00 GiB");
  ProgressState early;
  early.activity = "evaluating";
  early.epoch = 1;
  early.epochs = 2;
  EXPECT_EQ(progress_line(early), "evaluating  epoch 1/2  step 0/0");
}

TEST(Progress, durations_read_like_clocks) {
  EXPECT_EQ(duration_text(41.6), "42 s");
  EXPECT_EQ(duration_text(187), "3:07");
  EXPECT_EQ(duration_text(3753), "1:02:33");
  EXPECT_EQ(duration_text(1e300), "?");
}

TEST(Progress, without_terminal_plain_lines_come_at_most_every_ten_seconds) {
  std::string text;
  double clock = 100.0;
  {
    Progress progress([&](std::string_view piece) { text += piece; }, false, 80,
                      [&] { return clock; });
    for (int64_t step = 1; step <= 25; ++step) {
      progress.update(state(step));
      clock += 1.0;
    }
    progress.message("a\tmessage\x1b[31m");
  }
  // Steps 1, 11 and 21, the message, and at the end the last state.
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5);
  EXPECT_NE(text.find("step 21/650"), std::string::npos);
  EXPECT_NE(text.find("step 25/650"), std::string::npos);
  EXPECT_EQ(text.find("step 20/650"), std::string::npos);
  EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return c == '\n' || c >= ' '; }));
}

TEST(Progress, on_a_terminal_one_line_is_redrawn_and_never_wraps) {
  std::string text;
  double clock = 0.0;
  Progress progress([&](std::string_view piece) { text += piece; }, true, 20,
                    [&] { return clock; });
  progress.update(state(1));
  clock = 0.05;
  progress.update(state(2));
  EXPECT_EQ(text, "\repoch 3/25  step 1/\x1b[K");
  clock = 0.15;
  progress.update(state(3));
  text.clear();
  progress.message("note");
  EXPECT_EQ(text, "\r\x1b[Knote\n\repoch 3/25  step 3/\x1b[K");
  text.clear();
  progress.finish();
  progress.finish();
  EXPECT_EQ(text, "\n");
}

TEST(Progress, a_wide_terminal_gets_a_bar) {
  std::string text;
  Progress progress([&](std::string_view piece) { text += piece; }, true, 140, [] { return 0.0; });
  progress.update(state(195));
  EXPECT_TRUE(text.starts_with("\r[######..............]  30 %  epoch 3/25  step 195/650"));
  EXPECT_EQ(progress_bar(0.0), "[....................]   0 %  ");
  EXPECT_EQ(progress_bar(0.999), "[###################.]  99 %  ");
  EXPECT_EQ(progress_bar(1.0), "[####################] 100 %  ");
}

TEST(Progress, nothing_shown_leaves_nothing_behind) {
  std::string text;
  {
    Progress progress([&](std::string_view piece) { text += piece; }, true, 80, [] { return 0.0; });
  }
  EXPECT_EQ(text, "");
}

}  // namespace
}  // namespace wholemount
