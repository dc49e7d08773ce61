#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace wholemount {

/// One thread that runs jobs in the order they were submitted: file reading and writing that
/// overlaps with compute. Urgent jobs run before ordinary ones that have not begun, in their own
/// order. Not pinned; does no tensor arithmetic of the step itself.
class BackgroundWorker {
 public:
  /// Handle of a submitted job; >= 0.
  using Ticket = int64_t;
  enum class Urgency : uint8_t { ordinary, urgent };

  BackgroundWorker();
  /// Finishes the running job, drops those not begun, joins the thread.
  ~BackgroundWorker();
  BackgroundWorker(const BackgroundWorker&) = delete;
  BackgroundWorker& operator=(const BackgroundWorker&) = delete;

  /// Queues a job. Thread-safe.
  Ticket submit(std::function<void()> job, Urgency urgency = Urgency::ordinary);

  /// Blocks until that job has run; rethrows what it threw (once).
  void wait(Ticket ticket);

  /// Whether that job has run. Thread-safe.
  [[nodiscard]] bool done(Ticket ticket) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wholemount
