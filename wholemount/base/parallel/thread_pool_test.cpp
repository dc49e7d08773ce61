#include "wholemount/base/parallel/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/base/error.h"
#include "wholemount/base/parallel/affinity.h"

namespace wholemount {
namespace {

class ThreadPoolOf : public testing::TestWithParam<int> {};

TEST_P(ThreadPoolOf, every_task_runs_exactly_once) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.num_threads(), GetParam());
  for (const int64_t num_tasks : {0, 1, 2, 3, 64, 1000}) {
    std::vector<int> times_run(static_cast<size_t>(num_tasks));
    pool.run(num_tasks, [&](int64_t task, int) { ++times_run[static_cast<size_t>(task)]; });
    for (const int times : times_run) ASSERT_EQ(times, 1);
  }
}

TEST_P(ThreadPoolOf, thread_numbers_are_below_the_count_and_never_shared) {
  ThreadPool pool(GetParam());
  std::vector<std::atomic<int>> inside(static_cast<size_t>(GetParam()));
  std::atomic<bool> wrong = false;
  pool.run(500, [&](int64_t, int thread) {
    if (thread < 0 || thread >= GetParam()) {
      wrong = true;
      return;
    }
    auto& here = inside[static_cast<size_t>(thread)];
    if (here.fetch_add(1) != 0) wrong = true;
    here.fetch_sub(1);
  });
  EXPECT_FALSE(wrong);
}

TEST_P(ThreadPoolOf, writes_of_many_short_runs_are_visible_to_the_caller) {
  ThreadPool pool(GetParam());
  // Plain memory on purpose: a missing ordering shows as a wrong sum here or under TSan.
  std::vector<int64_t> cells(16);
  for (int64_t round = 1; round <= 3000; ++round) {
    pool.run(16, [&](int64_t task, int) { cells[static_cast<size_t>(task)] += task + round; });
    if (round % 1000 == 0) {
      int64_t sum = 0;
      for (const int64_t cell : cells) sum += cell;
      ASSERT_EQ(sum, round * 120 + 16 * round * (round + 1) / 2);
    }
  }
}

TEST_P(ThreadPoolOf, threads_wake_up_again_after_sleeping) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 5; ++round) {
    std::atomic<int64_t> sum = 0;
    pool.run(100, [&](int64_t task, int) { sum += task; });
    EXPECT_EQ(sum, 4950);
    usleep(2000);  // far longer than the spin
  }
}

INSTANTIATE_TEST_SUITE_P(Counts, ThreadPoolOf, testing::Values(1, 2, 3, 8));

TEST(ThreadPool, all_threads_take_part_when_tasks_wait_for_each_other) {
  constexpr int kThreads = 3;
  ThreadPool pool(kThreads);
  std::atomic<int> arrived = 0;
  pool.run(kThreads, [&](int64_t, int) {
    ++arrived;
    while (arrived < kThreads) usleep(10);
  });
  EXPECT_EQ(arrived, kThreads);
}

TEST(ThreadPool, tasks_are_dealt_in_rising_order) {
  ThreadPool pool(2);
  std::vector<int64_t> last(2, -1);
  std::atomic<bool> rising = true;
  pool.run(2000, [&](int64_t task, int thread) {
    auto& before = last[static_cast<size_t>(thread)];
    if (task <= before) rising = false;
    before = task;
  });
  EXPECT_TRUE(rising);
}

TEST(ThreadPool, started_threads_have_the_promised_stack) {
  ThreadPool pool(2);
  std::atomic<size_t> stack_bytes = 0;
  std::atomic<int> arrived = 0;
  pool.run(2, [&](int64_t, int thread) {
    ++arrived;
    while (arrived < 2) usleep(10);
    if (thread == 0) return;
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    void* address = nullptr;
    size_t size = 0;
    pthread_attr_getstack(&attributes, &address, &size);
    pthread_attr_destroy(&attributes);
    stack_bytes = size;
  });
  EXPECT_EQ(stack_bytes, ThreadPool::kStackBytes);
}

TEST(ThreadPool, caller_gets_its_cpus_back) {
  const std::vector<int> before = thread_affinity();
  {
    ThreadPool pool(2);
    if (process_cpus().size() >= 2) {
      EXPECT_EQ(thread_affinity(), std::vector<int>{process_cpus()[0]});
    }
  }
  EXPECT_EQ(thread_affinity(), before);
}

TEST(ThreadPool, more_threads_than_cpus_are_not_pinned) {
  const std::vector<int> before = thread_affinity();
  const ThreadPool pool(static_cast<int>(process_cpus().size()) + 1);
  EXPECT_EQ(thread_affinity(), before);
}

TEST(ThreadPool, fewer_than_one_thread_is_refused) {
  EXPECT_THROW(ThreadPool(0), ConfigError);
  EXPECT_THROW(ThreadPool(-3), ConfigError);
}

}  // namespace
}  // namespace wholemount
