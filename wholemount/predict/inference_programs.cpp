#include "wholemount/predict/inference_programs.h"

#include <algorithm>
#include <utility>

namespace wholemount {

InferencePrograms::InferencePrograms(Network network, InferenceSpec inference, PlanSpec spec,
                                     TimeModel time)
    : network_(std::move(network)),
      inference_(std::move(inference)),
      spec_(std::move(spec)),
      time_(std::move(time)) {}

const InferenceProgram& InferencePrograms::get(const Extent3& extent) {
  const auto known = std::find_if(programs_.begin(), programs_.end(),
                                  [&](const auto& program) { return program.extent == extent; });
  if (known != programs_.end()) {
    programs_.splice(programs_.begin(), programs_, known);
    return programs_.front();
  }
  InferenceProgram program;
  program.extent = extent;
  program.graph = build_inference_graph(network_, inference_, extent);
  program.program = plan(program.graph.graph, spec_, time_);
  programs_.push_front(std::move(program));
  if (programs_.size() > kKept) {
    programs_.pop_back();
  }
  return programs_.front();
}

void InferencePrograms::set_arena_budget(size_t bytes) {
  if (spec_.arena_budget_bytes != bytes) {
    programs_.clear();
  }
  spec_.arena_budget_bytes = bytes;
}

}  // namespace wholemount
