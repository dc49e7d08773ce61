#include "wholemount/train/case_evaluation.h"

#include <cmath>

#include "wholemount/tensor/load_transform.h"

namespace wholemount {

namespace {

/// The values of a tensor of one voxel.
std::vector<float> channels_of(const TensorView& view) {
  std::vector<float> values;
  for (int64_t c = 0; c < view.desc.c; ++c) values.push_back(element<float>(view, 0, c, 0, 0, 0));
  return values;
}

}  // namespace

LossAndCounts evaluate_cases(const EvaluationCases& cases, InferencePrograms& programs,
                             Session& session) {
  std::vector<CaseRequest> order;
  for (const int64_t index : cases.indices) {
    order.push_back({index, 0});
  }
  CaseStream stream(cases.cases, *cases.load, cases.staging, std::move(order), cases.memory);
  LossAndCounts result;
  while (const LoadedCase* loaded = stream.next()) {
    const InferenceProgram& program = programs.get(loaded->image.desc.extent);
    RunSpec run;
    run.inputs = {{program.graph.image, loaded->image.origin},
                  {program.graph.target, loaded->target->origin}};
    session.run(*program.program, run);
    result.loss_sum += *session.view(*program.program, program.graph.loss).at<const double>(0, 0);
    ++result.losses;
    result.samples.push_back(read_counts(session.view(*program.program, program.graph.counts)));
    if (program.graph.logits != kNone) {
      LossAndCounts::Counts& image = result.samples.back();
      image.logits = channels_of(session.view(*program.program, program.graph.logits));
      image.features = channels_of(session.view(*program.program, program.graph.features));
    }
    stream.release(loaded);
  }
  return result;
}

ScoreSummary score_summary(const EvaluationCases& cases, const TaskSpec& task,
                           const LossAndCounts& result) {
  const bool classes = task.target == TargetKind::classes;
  ScoreSummary summary;
  summary.first_is_background = false;
  for (size_t k = classes ? 1 : 0; k < task.outputs.size(); ++k) {
    summary.label_names.push_back(task.outputs[k]);
  }
  for (size_t i = 0; i < cases.indices.size(); ++i) {
    const Case& subject = cases.cases[static_cast<size_t>(cases.indices[i])];
    const LossAndCounts::Counts& counts = result.samples[i];
    CaseScores scores;
    scores.prediction_file = subject.channels.front().path;
    scores.reference_file = subject.label;
    for (size_t k = classes ? 1 : 0; k < task.outputs.size(); ++k) {
      LabelScores label;
      label.counts.tp = std::llround(counts.intersection[k]);
      label.counts.fp = std::llround(counts.predicted[k] - counts.intersection[k]);
      label.counts.fn = std::llround(counts.truth[k] - counts.intersection[k]);
      label.counts.tn =
          std::llround(counts.voxels) - label.counts.tp - label.counts.fp - label.counts.fn;
      scores.labels.push_back(label);
    }
    summary.cases.push_back(std::move(scores));
  }
  return summary;
}

}  // namespace wholemount
