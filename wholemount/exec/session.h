#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wholemount/base/memory.h"
#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/exec/gradient_fold.h"
#include "wholemount/exec/parameter_store.h"
#include "wholemount/exec/spill_traffic.h"
#include "wholemount/plan/program.h"

namespace wholemount {

/// What one run of a Program works on.
struct RunSpec {
  /// Memory of the graph's input values, laid out as their descs say; owned by the caller and kept
  /// until run() returns.
  std::vector<std::pair<ValueId, std::byte*>> inputs;
  /// Shape of the update's gradient sum; needed by programs with parameter gradients.
  const GradientFold* fold = nullptr;
  /// Index within the update of the graph's sample 0.
  int64_t first_sample = 0;
  /// How many programs of this update ran before; gradients that join all samples of a program are
  /// overwritten by the first and added to by the others.
  int64_t program_index = 0;
  /// Called after every step with its index and seconds; empty: not measured.
  std::function<void(size_t step, double seconds)> after_step;
};

/// Runs programs in one arena; the only owner of tensor memory besides the parameter store.
/// Programs for different shapes share the arena, which has the size of the largest. Not
/// thread-safe; `run` allocates nothing tensor-sized.
class Session {
 public:
  /// Maps an arena of `arena_bytes`; pages become resident as steps write them. The references are
  /// kept. Throws MemoryBudgetError when the mapping is refused.
  Session(ThreadPool& pool, ParameterStore& parameters, size_t arena_bytes);
  /// Also reserves `spill_bytes` of scratch space in `spill_folder`, for programs that spill; 0: no
  /// file. Throws OutputError as SpillFile does.
  Session(ThreadPool& pool, ParameterStore& parameters, size_t arena_bytes,
          const std::string& spill_folder, size_t spill_bytes);

  /// Executes all steps. Throws InternalError when the program needs a larger arena or an input is
  /// not bound, OutputError when the spill file cannot be read or written; the arena's content is
  /// then lost, the parameters are as before the update.
  void run(const Program& program, const RunSpec& spec);

  /// After the last program of an update: makes the gradients whose factors the programs left
  /// (ParameterStore::sum_outer_products); all gradients of the update are then in slot 0.
  void finish_update(const GradientFold& fold) { parameters_.sum_outer_products(fold, pool_); }

  /// The memory of a kept value after run(); valid until the next run.
  [[nodiscard]] TensorView view(const Program& program, ValueId value) const;

  [[nodiscard]] size_t arena_bytes() const { return arena_.size(); }

 private:
  struct Binding;
  [[nodiscard]] TensorView view_of(const Program& program, const Binding& binding,
                                   ValueId value) const;
  void run_step(const Program& program, const Binding& binding, const RunSpec& spec, size_t step);
  void bind_operands(const Program& program, const Binding& binding, const RunSpec& spec,
                     const Step& step);
  /// Begins and waits for transfers of whole values, before and after a step.
  class Transfers;
  void merge_gradients(const Program& program, const RunSpec& spec, const Node& node);

  ThreadPool& pool_;
  ParameterStore& parameters_;
  PageBuffer arena_;
  std::vector<InputView> inputs_;
  std::vector<OutputView> outputs_;
  /// After the arena, so that transfers have ended when it goes.
  std::unique_ptr<SpillTraffic> spill_;
};

}  // namespace wholemount
