#include "wholemount/base/parallel/background_worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>
#include <vector>

#include "wholemount/base/cpu.h"
#include "wholemount/base/error.h"
#include "wholemount/base/parallel/affinity.h"
#include "wholemount/base/parallel/thread_pool.h"

namespace wholemount {
namespace {

TEST(BackgroundWorker, jobs_run_in_the_order_submitted) {
  BackgroundWorker worker;
  std::vector<int> order;
  BackgroundWorker::Ticket last = 0;
  for (int i = 0; i < 100; ++i) last = worker.submit([&order, i] { order.push_back(i); });
  worker.wait(last);
  ASSERT_EQ(order.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
}

TEST(BackgroundWorker, urgent_jobs_run_before_ordinary_ones_that_have_not_begun) {
  BackgroundWorker worker;
  std::vector<int> ran;
  std::promise<void> go;
  const BackgroundWorker::Ticket first = worker.submit([&] { go.get_future().wait(); });
  const BackgroundWorker::Ticket ordinary = worker.submit([&] { ran.push_back(1); });
  worker.submit([&] { ran.push_back(2); }, BackgroundWorker::Urgency::urgent);
  const BackgroundWorker::Ticket urgent =
      worker.submit([&] { ran.push_back(3); }, BackgroundWorker::Urgency::urgent);
  EXPECT_FALSE(worker.done(urgent));
  go.set_value();
  worker.wait(ordinary);
  worker.wait(urgent);
  worker.wait(first);
  EXPECT_TRUE(worker.done(ordinary));
  EXPECT_EQ(ran, (std::vector<int>{2, 3, 1}));
}

TEST(BackgroundWorker, waiting_for_an_earlier_job_does_not_wait_for_later_ones) {
  BackgroundWorker worker;
  std::atomic<bool> release = false;
  const auto first = worker.submit([] {});
  const auto second = worker.submit([&] {
    while (!release) {
    }
  });
  worker.wait(first);
  release = true;
  worker.wait(second);
}

TEST(BackgroundWorker, wait_rethrows_once_and_later_jobs_still_run) {
  BackgroundWorker worker;
  const auto failing = worker.submit([] { throw OutputError("spill", "disk full"); });
  bool ran = false;
  const auto next = worker.submit([&] { ran = true; });
  worker.wait(next);
  EXPECT_TRUE(ran);
  EXPECT_THROW(worker.wait(failing), OutputError);
  EXPECT_NO_THROW(worker.wait(failing));
}

TEST(BackgroundWorker, what_a_job_holds_is_released_before_wait_returns) {
  BackgroundWorker worker;
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = held;
  const auto ticket = worker.submit([held = std::move(held)] {});
  worker.wait(ticket);
  EXPECT_TRUE(watch.expired());
}

TEST(BackgroundWorker, destructor_drops_jobs_not_begun) {
  std::atomic<int> runs = 0;
  std::atomic<bool> began = false;
  std::atomic<bool> release = false;
  {
    auto worker = std::make_unique<BackgroundWorker>();
    worker->submit([&] {
      began = true;
      while (!release) {
      }
      ++runs;
    });
    while (!began) {
    }
    for (int i = 0; i < 10; ++i) worker->submit([&] { ++runs; });
    // The running job is let go only by another worker, while the destructor is already waiting.
    BackgroundWorker other;
    other.submit([&] { release = true; });
    worker.reset();
  }
  EXPECT_GE(runs, 1);
  EXPECT_LE(runs, 11);
}

TEST(BackgroundWorker, is_not_confined_to_the_cpu_of_a_pinned_maker) {
  const ThreadPool pool(2);
  BackgroundWorker worker;
  std::vector<int> cpus;
  worker.wait(worker.submit([&] { cpus = thread_affinity(); }));
  EXPECT_EQ(cpus, process_cpus());
}

TEST(BackgroundWorker, waiting_for_a_job_never_submitted_is_our_bug) {
  BackgroundWorker worker;
  EXPECT_THROW(worker.wait(0), InternalError);
  EXPECT_THROW(worker.wait(-1), InternalError);
}

}  // namespace
}  // namespace wholemount
