#include "wholemount/base/signal_flag.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "wholemount/base/error.h"

namespace wholemount {
namespace {

TEST(SignalFlag, first_signal_only_sets_the_flag) {
  const SignalFlag flag;
  EXPECT_FALSE(flag.raised());
  raise(SIGTERM);
  EXPECT_TRUE(flag.raised());
  EXPECT_EQ(flag.signal_number(), SIGTERM);
}

TEST(SignalFlag, new_flag_forgets_former_signals) {
  {
    const SignalFlag flag;
    raise(SIGINT);
    EXPECT_TRUE(flag.raised());
  }
  const SignalFlag flag;
  EXPECT_FALSE(flag.raised());
  EXPECT_EQ(flag.signal_number(), 0);
}

TEST(SignalFlag, destructor_restores_the_former_handler) {
  auto* const former = signal(SIGTERM, SIG_IGN);
  { const SignalFlag flag; }
  EXPECT_EQ(signal(SIGTERM, former), SIG_IGN);
}

TEST(SignalFlagDeathTest, second_signal_ends_the_process) {
  EXPECT_EXIT(
      {
        const SignalFlag flag;
        raise(SIGINT);
        raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

TEST(SignalFlag, two_at_once_are_our_bug) {
  const SignalFlag flag;
  EXPECT_THROW(SignalFlag(), InternalError);
}

}  // namespace
}  // namespace wholemount
