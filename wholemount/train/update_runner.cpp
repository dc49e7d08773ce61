#include "wholemount/train/update_runner.h"

#include <algorithm>
#include <array>
#include <utility>

namespace wholemount {

UpdatePrograms::UpdatePrograms(Network network, SegmentationLossSpec loss, PlanSpec spec,
                               TimeModel time)
    : network_(std::move(network)),
      loss_(std::move(loss)),
      spec_(std::move(spec)),
      time_(std::move(time)) {}

const UpdateProgram& UpdatePrograms::get(std::span<const Extent3> extents) {
  const auto known = std::find_if(programs_.begin(), programs_.end(), [&](const auto& program) {
    return std::equal(program.extents.begin(), program.extents.end(), extents.begin(),
                      extents.end());
  });
  if (known != programs_.end()) {
    programs_.splice(programs_.begin(), programs_, known);
    return programs_.front();
  }
  UpdateProgram program;
  program.extents.assign(extents.begin(), extents.end());
  program.graph = build_update_graph(network_, loss_, extents);
  program.program = plan(program.graph.graph, spec_, time_);
  programs_.push_front(std::move(program));
  if (programs_.size() > kKept) {
    programs_.pop_back();
  }
  return programs_.front();
}

std::vector<ParameterSpec> UpdatePrograms::parameters(const Extent3& extent) const {
  return build_update_graph(network_, loss_, std::array{extent}).graph->parameters;
}

void UpdatePrograms::set_arena_budget(size_t bytes) {
  if (spec_.arena_budget_bytes != bytes) {
    programs_.clear();
  }
  spec_.arena_budget_bytes = bytes;
}

LossAndCounts::Counts read_counts(const TensorView& view) {
  LossAndCounts::Counts counts;
  const int64_t channels = view.desc.extent.w;
  const auto* values = view.at<const double>(0, 0);
  counts.intersection.assign(values, values + channels);
  counts.predicted.assign(values + channels, values + 2 * channels);
  counts.truth.assign(values + 2 * channels, values + 3 * channels);
  counts.voxels = values[3 * channels];
  return counts;
}

UpdateRunner::UpdateRunner(UpdatePrograms& programs, Session& session, int64_t sum_groups)
    : programs_(programs), session_(session), sum_groups_(sum_groups) {}

void UpdateRunner::begin(int64_t batch) {
  fold_ = std::make_unique<GradientFold>(batch, sum_groups_);
  next_sample_ = 0;
  num_programs_ = 0;
  result_ = {};
}

void UpdateRunner::run(std::span<const BoundSample> samples) {
  std::vector<Extent3> extents;
  extents.reserve(samples.size());
  for (const BoundSample& sample : samples) {
    extents.push_back(sample.extent);
  }
  const UpdateProgram& program = programs_.get(extents);
  RunSpec spec;
  spec.fold = fold_.get();
  spec.first_sample = next_sample_;
  spec.program_index = num_programs_;
  for (size_t s = 0; s < samples.size(); ++s) {
    spec.inputs.emplace_back(program.graph.images[s], samples[s].image);
    spec.inputs.emplace_back(program.graph.targets[s], samples[s].target);
  }
  session_.run(*program.program, spec);
  for (const ValueId loss : program.graph.losses) {
    result_.loss_sum += *session_.view(*program.program, loss).at<const double>(0, 0);
    ++result_.losses;
  }
  for (const ValueId counts : program.graph.counts) {
    result_.samples.push_back(read_counts(session_.view(*program.program, counts)));
  }
  next_sample_ += static_cast<int64_t>(samples.size());
  ++num_programs_;
  if (next_sample_ == fold_->batch()) session_.finish_update(*fold_);
}

}  // namespace wholemount
