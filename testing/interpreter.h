#pragma once

#include <memory>
#include <string>
#include <vector>

#include "testing/guarded_buffer.h"
#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/graph/graph.h"

namespace wholemount {

/// Runs a graph the plain way, for tests: every value in memory of its own (poisoned with NaN
/// before each run), nodes one after the other, no plan. The graph must outlive it.
///
/// Parameters and inputs are set by the caller through set(). Gradients of one parameter (one per
/// sample) are summed into one buffer: the first contribution overwrites, later ones accumulate.
class Interpreter {
 public:
  /// Prepares every node for `target`. `threads` runs the tasks when given.
  explicit Interpreter(const Graph& graph, const Target& target = {},
                       ThreadPool* threads = nullptr);

  [[nodiscard]] const Graph& graph() const { return graph_; }
  /// The id of the value with this name; throws InternalError when there is none.
  [[nodiscard]] ValueId find(const std::string& name) const;

  /// The memory of a value (of the value it is stored as, when it is read through a transform).
  [[nodiscard]] TensorView view(ValueId id) const;
  /// The value as a kernel gets it: memory and resolved LoadTransform.
  [[nodiscard]] InputView input_view(ValueId id) const;

  /// Values in plain order [n][c][d][h][w].
  void set(ValueId id, const std::vector<double>& values);
  [[nodiscard]] std::vector<double> get(ValueId id) const;
  /// The summed gradient of Graph::parameters[parameter]; empty when none was computed.
  [[nodiscard]] std::vector<double> parameter_gradient(int32_t parameter) const;

  /// Runs the nodes up to and including the given pass. `decisions`, a finished float32 run of the
  /// same graph (same ValueIds), makes a float64 run follow its ReLU masks and maxima.
  void run(Pass last = Pass::backward, const Interpreter* decisions = nullptr);

 private:
  [[nodiscard]] std::vector<double> sum_of_outer_products(int32_t parameter) const;
  void run_node(size_t node_index, const Interpreter* decisions);
  [[nodiscard]] const GuardedBuffer& buffer(ValueId id) const;

  const Graph& graph_;
  ThreadPool* threads_;
  std::vector<std::shared_ptr<const Kernel>> kernels_;            ///< by node; null: nothing to run
  std::vector<std::shared_ptr<GuardedBuffer>> buffers_;           ///< by storage value
  std::vector<std::shared_ptr<GuardedBuffer>> gradient_buffers_;  ///< by parameter
  std::vector<bool> gradient_begun_;                              ///< by parameter
};

}  // namespace wholemount
