#pragma once

#include <cstddef>
#include <vector>

#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/exec/spill_traffic.h"
#include "wholemount/plan/program.h"

namespace wholemount {

/// Runs a streamed step: group of tasks by group of tasks on windows, while the next windows are
/// read and the last ones written. The views of streamed operands in `inputs` and `outputs` are
/// replaced as it goes; the others stay. Returns when everything is written that shares the arena.
class StreamRunner {
 public:
  StreamRunner(const Step& step, std::byte* arena, SpillTraffic& traffic, ThreadPool& pool,
               std::vector<InputView>& inputs, std::vector<OutputView>& outputs);

  void run(std::byte* shared_scratch, std::byte* thread_scratch);

 private:
  using Ticket = SpillTraffic::Ticket;
  /// The two windows of a streamed tensor.
  struct Windows {
    SlabUnits units;
    Planes held[2];
    Ticket writing[2] = {-1, -1};
    int current = 1;  ///< computed on now, or last
  };
  struct Scratch {
    std::byte* shared = nullptr;
    std::byte* threads = nullptr;
  };

  void run_phase(int phase, const Scratch& scratch);
  /// Begins to read the group's inputs into the windows that are free.
  Ticket begin_reads(const StreamGroup& group);
  /// Moves on to the group's windows and shows them to the kernel.
  void turn_to(const StreamGroup& group);
  void begin_writes(const StreamGroup& group);
  void show(size_t tensor);
  void wait_writes();
  [[nodiscard]] std::byte* data(size_t tensor, int window) const;
  /// Moves the planes `part` of all channel blocks between the file and a window that holds `held`.
  void transfer(size_t tensor, int window, const Planes& held, const Planes& part,
                bool write) const;
  /// Fills a window with `wanted`, taking from the other one what it has.
  void fill(size_t tensor, int window, const Planes& wanted, const Planes& other) const;

  const Step& step_;
  const StepStream& stream_;
  std::byte* arena_;
  SpillTraffic& traffic_;
  ThreadPool& pool_;
  std::vector<InputView>& inputs_;
  std::vector<OutputView>& outputs_;
  std::vector<Windows> windows_;
};

}  // namespace wholemount
