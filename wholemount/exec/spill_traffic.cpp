#include "wholemount/exec/spill_traffic.h"

#include <utility>

namespace wholemount {

SpillTraffic::Ticket SpillTraffic::write(ValueId value, Urgency urgency,
                                         std::function<void()> job) {
  const Ticket ticket = writer_.submit(std::move(job), urgency);
  written_[value] = ticket;
  return ticket;
}

SpillTraffic::Ticket SpillTraffic::read(const std::vector<ValueId>& values, Urgency urgency,
                                        std::function<void()> job) {
  std::vector<Ticket> after;
  for (const ValueId value : values) {
    if (const auto found = written_.find(value); found != written_.end()) {
      after.push_back(found->second);
    }
  }
  const auto run = [this, after = std::move(after), job = std::move(job)] {
    for (const Ticket ticket : after) writer_.wait(ticket);
    job();
  };
  return reader_.submit(run, urgency);
}

}  // namespace wholemount
