#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "wholemount/base/function_ref.h"

namespace wholemount {

/// The process's compute threads. Numbered tasks are dealt dynamically, one at a time, in rising
/// order; which thread runs a task is not defined, so tasks must not depend on it except through
/// the scratch they are given. Threads sleep between runs after a short spin.
/// Not re-entrant: `run` may be called by one thread at a time and not from inside a task.
class ThreadPool {
 public:
  /// Starts `num_threads - 1` threads (the caller of `run` is thread 0), pinned to distinct CPUs
  /// of the process's affinity mask where there are enough. num_threads >= 1, else ConfigError.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int num_threads() const;

  /// Calls body(task, thread) for every task in [0, num_tasks) and returns when all are done; all
  /// writes of the tasks are visible to the caller afterwards. thread is in [0, num_threads).
  /// The body must not throw.
  void run(int64_t num_tasks, FunctionRef<void(int64_t task, int thread)> body);

  /// Stack bytes the pool reserves per started thread (they count in the memory plan only as far
  /// as touched).
  static constexpr size_t kStackBytes = size_t{1} << 20;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wholemount
