#include "wholemount/exec/spill_traffic.h"

#include <algorithm>
#include <utility>

namespace wholemount {

SpillTraffic::Ticket SpillTraffic::write(ValueId value, std::function<void()> job) {
  const Ticket ticket = writer_.submit(std::move(job));
  written_[value] = ticket;
  return ticket;
}

SpillTraffic::Ticket SpillTraffic::read(const std::vector<ValueId>& values,
                                        std::function<void()> job) {
  Ticket after = -1;
  for (const ValueId value : values) {
    if (const auto found = written_.find(value); found != written_.end()) {
      after = std::max(after, found->second);
    }
  }
  return reader_.submit([this, after, job = std::move(job)] {
    if (after >= 0) writer_.wait(after);
    job();
  });
}

}  // namespace wholemount
