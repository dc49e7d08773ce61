#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "wholemount/base/parallel/background_worker.h"
#include "wholemount/exec/spill_file.h"
#include "wholemount/graph/graph.h"

namespace wholemount {

/// Transfers between the arena and the spill file that go on beside the steps: one thread reads,
/// one writes, each in the order asked for, but what a running step waits for (urgent) goes before
/// whole values on their way. A value is read only after it has been written. What a transfer
/// throws is thrown by whoever waits for it. Used by one thread.
class SpillTraffic {
 public:
  using Ticket = BackgroundWorker::Ticket;
  using Urgency = BackgroundWorker::Urgency;

  SpillTraffic(const std::string& folder, size_t bytes) : file_(folder, bytes) {}

  [[nodiscard]] SpillFile& file() { return file_; }

  /// Begins a new run: what earlier ones wrote is forgotten.
  void begin() { written_.clear(); }

  /// `job` writes (part of) `value`.
  Ticket write(ValueId value, Urgency urgency, std::function<void()> job);
  /// `job` reads (parts of) `values`.
  Ticket read(const std::vector<ValueId>& values, Urgency urgency, std::function<void()> job);

  void wait_write(Ticket ticket) { writer_.wait(ticket); }
  void wait_read(Ticket ticket) { reader_.wait(ticket); }

 private:
  SpillFile file_;
  std::map<ValueId, Ticket> written_;  ///< the last write of each value in this run
  // The reader waits for the writer, so it has to end first.
  BackgroundWorker writer_;
  BackgroundWorker reader_;
};

}  // namespace wholemount
