#pragma once

#include <memory>
#include <vector>

#include "wholemount/plan/schedule.h"

namespace wholemount {

/// A schedule as a graph again.
struct MaterialisedGraph {
  std::shared_ptr<const Graph> graph;
  std::vector<NodeId> nodes;    ///< by schedule step
  std::vector<ValueId> values;  ///< by version
};

/// Gives every stay of a value in the arena an id of its own: the first keeps the value's, others
/// are appended, as are nodes for repeated steps; readers are led to the stay, or half, they read.
/// Streamed operands keep the value's id. Without policies the graph is the tape's.
[[nodiscard]] MaterialisedGraph materialise(const Tape& tape, const Schedule& schedule);

}  // namespace wholemount
