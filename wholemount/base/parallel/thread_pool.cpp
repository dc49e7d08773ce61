#include "wholemount/base/parallel/thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <string>
#include <utility>
#include <vector>

#include "wholemount/base/clock.h"
#include "wholemount/base/cpu.h"
#include "wholemount/base/error.h"
#include "wholemount/base/parallel/affinity.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount {

namespace {

constexpr double kSpinSeconds = 30e-6;
constexpr size_t kCacheLineBytes = 64;

using FutexWord = std::atomic<uint32_t>;
static_assert(sizeof(FutexWord) == sizeof(uint32_t) && FutexWord::is_always_lock_free);

// Sleeps while the word holds `value`; may return early. All ordering comes from the atomics.
void futex_wait(FutexWord& word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

void futex_wake(FutexWord& word, int count) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Polls until the condition holds or the time is over; returns whether it holds.
template <class Condition>
bool spin_until(Condition condition, double seconds) {
  if (condition()) return true;
  if (seconds <= 0) return false;
  const double end = monotonic_seconds() + seconds;
  do {
    for (int i = 0; i < 16; ++i) {
      pause_cpu();
      if (condition()) return true;
    }
  } while (monotonic_seconds() < end);
  return false;
}

}  // namespace

// A run is open while `epoch` is odd. A started thread that sees an open run registers in
// `registered`, looks at `epoch` again and, if it is still odd, takes tasks. The caller closes the
// run (epoch becomes even) once all tasks are dealt and waits until nobody is registered. With
// sequentially consistent accesses either the thread sees the closed epoch or the caller sees the
// thread registered, so `body` and `num_tasks` never change under a reader, and a thread that is
// still asleep is not waited for.
struct ThreadPool::State {
  explicit State(int count) : num_threads(count) {}

  const int num_threads;
  double spin_seconds = 0;
  std::vector<int> caller_cpus_before;
  pthread_t caller{};
  std::vector<pthread_t> threads;

  const FunctionRef<void(int64_t, int)>* body = nullptr;
  int64_t num_tasks = 0;
  bool stopping = false;

  alignas(kCacheLineBytes) std::atomic<int64_t> next_task{0};
  alignas(kCacheLineBytes) FutexWord epoch{0};
  std::atomic<int> sleepers{0};
  alignas(kCacheLineBytes) FutexWord registered{0};
  std::atomic<bool> caller_sleeps{false};

  static bool open(uint32_t value) { return (value & 1U) != 0; }

  void take_tasks(int thread) noexcept {
    for (;;) {
      const int64_t task = next_task.fetch_add(1, std::memory_order_relaxed);
      if (task >= num_tasks) return;
      (*body)(task, thread);
    }
  }

  void wait_for_open_epoch(uint32_t seen) {
    const auto is_new = [this, seen] {
      const uint32_t value = epoch.load();
      return open(value) && value != seen;
    };
    if (spin_until(is_new, spin_seconds)) return;
    sleepers.fetch_add(1);
    for (uint32_t value = epoch.load(); !open(value) || value == seen; value = epoch.load()) {
      futex_wait(epoch, value);
    }
    sleepers.fetch_sub(1);
  }

  void serve(int thread) {
    uint32_t seen = 0;
    for (bool stop = false; !stop;) {
      wait_for_open_epoch(seen);
      registered.fetch_add(1);
      seen = epoch.load();
      if (open(seen)) {
        stop = stopping;
        take_tasks(thread);
      }
      if (registered.fetch_sub(1) == 1 && caller_sleeps.load()) futex_wake(registered, 1);
    }
  }

  void open_run(int64_t tasks, const FunctionRef<void(int64_t, int)>* task_body) {
    num_tasks = tasks;
    body = task_body;
    next_task.store(0, std::memory_order_relaxed);
    epoch.fetch_add(1);
    const int useful = static_cast<int>(std::min<int64_t>(tasks - 1, INT_MAX));
    if (sleepers.load() > 0) futex_wake(epoch, useful);
  }

  void close_run() {
    epoch.fetch_add(1);
    const auto all_left = [this] { return registered.load() == 0; };
    if (spin_until(all_left, spin_seconds)) return;
    caller_sleeps.store(true);
    for (uint32_t count = registered.load(); count != 0; count = registered.load()) {
      futex_wait(registered, count);
    }
    caller_sleeps.store(false);
  }

  void stop_threads() {
    if (threads.empty()) return;
    stopping = true;
    num_tasks = 0;
    next_task.store(0);
    epoch.fetch_add(1);  // stays open, so that every thread sees it
    futex_wake(epoch, INT_MAX);
    for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  }
};

namespace {

struct StartArgument {
  void (*serve)(void* state, int thread);
  void* state;
  int thread;
  std::vector<int> cpus;
};

void* start_thread(void* argument) {
  const std::unique_ptr<StartArgument> start(static_cast<StartArgument*>(argument));
  set_thread_affinity(start->cpus);
  const std::string name = "wm-compute-" + std::to_string(start->thread);
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  start->serve(start->state, start->thread);
  return nullptr;
}

// Signals go to the threads the program made itself, so that their system calls are the ones
// interrupted.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

int create_thread(pthread_t& thread, StartArgument start) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, ThreadPool::kStackBytes);
  auto argument = std::make_unique<StartArgument>(std::move(start));
  const int error = pthread_create(&thread, &attributes, start_thread, argument.get());
  pthread_attr_destroy(&attributes);
  if (error == 0) (void)argument.release();  // the thread owns it now
  return error;
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
  if (num_threads < 1) {
    throw ConfigError("threads: got " + std::to_string(num_threads) + ", wanted 1 or more");
  }
  state_ = std::make_unique<State>(num_threads);
  if (num_threads == 1) return;

  const std::vector<int>& cpus = process_cpus();
  const bool pinned = static_cast<size_t>(num_threads) <= cpus.size();
  state_->spin_seconds = num_threads <= usable_cpus() ? kSpinSeconds : 0.0;
  const auto serve = [](void* state, int thread) { static_cast<State*>(state)->serve(thread); };
  const SignalsBlocked signals_blocked;
  for (int i = 1; i < num_threads; ++i) {
    StartArgument start{serve, state_.get(), i, {}};
    if (pinned) start.cpus = {cpus[static_cast<size_t>(i)]};
    pthread_t thread{};
    const int error = create_thread(thread, std::move(start));
    if (error != 0) {
      state_->stop_threads();
      throw ConfigError("cannot start compute thread " + std::to_string(i) + " of " +
                        std::to_string(num_threads) + " (" + system_error_text(error) +
                        "); use fewer with --threads");
    }
    state_->threads.push_back(thread);
  }
  if (pinned) {
    state_->caller = pthread_self();
    state_->caller_cpus_before = thread_affinity();
    set_thread_affinity({cpus[0]});
  }
}

ThreadPool::~ThreadPool() {
  state_->stop_threads();
  // Only the thread that was pinned may still be known to live.
  if (!state_->caller_cpus_before.empty() && pthread_equal(state_->caller, pthread_self()) != 0) {
    set_thread_affinity(state_->caller_cpus_before);
  }
}

int ThreadPool::num_threads() const { return state_->num_threads; }

void ThreadPool::run(int64_t num_tasks, FunctionRef<void(int64_t task, int thread)> body) {
  if (num_tasks <= 0) return;
  if (num_tasks == 1 || state_->num_threads == 1) {
    for (int64_t task = 0; task < num_tasks; ++task) body(task, 0);
    return;
  }
  state_->open_run(num_tasks, &body);
  state_->take_tasks(0);
  state_->close_run();
}

}  // namespace wholemount
