#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/timing.h"
#include "wholemount/graph/graph.h"

namespace wholemount::bench {

/// An input whose gradient is wanted: a differentiated graph then holds the backward nodes of what
/// reads it.
ValueId trained_input(GraphBuilder& builder, const std::string& name, const TensorDesc& desc);

/// Appends the backward pass of `y`, with a gradient of y that is an input.
void add_backward(GraphBuilder& builder, ValueId y);

/// The nodes of a small graph with memory for all its values, each ready to be run by itself.
/// Values an operator may overwrite are overwritten, as in a plan, and refilled by refill().
class GraphBench {
 public:
  GraphBench(Graph graph, const Target& target, ThreadPool& pool);
  ~GraphBench();

  [[nodiscard]] const Graph& graph() const { return graph_; }
  /// Null for nodes without work at run time.
  [[nodiscard]] const Kernel* kernel(size_t node) const;
  void run(size_t node);
  /// Gives the value that `node` overwrites its first content again.
  void refill(size_t node);

 private:
  struct Step;
  [[nodiscard]] TensorView view_of(ValueId id);
  [[nodiscard]] InputView input_of(ValueId id);

  Graph graph_;
  ThreadPool& pool_;
  std::vector<std::unique_ptr<PageBuffer>> memory_;  ///< by value
  std::vector<std::unique_ptr<Step>> steps_;
};

}  // namespace wholemount::bench
