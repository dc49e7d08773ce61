#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace wholemount {

/// One thread that runs jobs in the order they were submitted: file reading and writing that
/// overlaps with compute. Not pinned; does no tensor arithmetic of the step itself.
class BackgroundWorker {
 public:
  /// Handle of a submitted job.
  using Ticket = int64_t;

  BackgroundWorker();
  /// Finishes the running job, drops those not begun, joins the thread.
  ~BackgroundWorker();
  BackgroundWorker(const BackgroundWorker&) = delete;
  BackgroundWorker& operator=(const BackgroundWorker&) = delete;

  /// Queues a job. Thread-safe.
  Ticket submit(std::function<void()> job);

  /// Blocks until that job has run; rethrows what it threw (once).
  void wait(Ticket ticket);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wholemount
