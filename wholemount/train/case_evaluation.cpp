#include "wholemount/train/case_evaluation.h"

#include <cmath>

#include "wholemount/metrics/surface.h"
#include "wholemount/ops/loss/segmentation_ops.h"
#include "wholemount/tensor/load_transform.h"
#include "wholemount/tensor/target.h"

namespace wholemount {

namespace {

/// The values of a tensor of one voxel.
std::vector<float> channels_of(const TensorView& view) {
  std::vector<float> values;
  for (int64_t c = 0; c < view.desc.c; ++c) values.push_back(element<float>(view, 0, c, 0, 0, 0));
  return values;
}

std::vector<SoftSums> read_soft_sums(const TensorView& view) {
  const auto channels = static_cast<size_t>(view.desc.extent.w);
  const auto* values = view.at<const double>(0, 0);
  std::vector<SoftSums> soft;
  for (size_t c = 0; c < channels; ++c) {
    soft.push_back({values[SegmentationSumRow::intersection * channels + c],
                    values[SegmentationSumRow::predicted * channels + c],
                    values[SegmentationSumRow::truth * channels + c]});
  }
  return soft;
}

// Voxels nobody labelled belong to no mask.
void clear_ignored(const TensorView& prediction, const TensorView& target, const Box3& box) {
  for (int64_t d = box.begin.d; d < box.end.d; ++d) {
    for (int64_t h = box.begin.h; h < box.end.h; ++h) {
      auto* p = prediction.at<uint8_t>(0, 0, d, h, box.begin.w);
      auto* t = target.at<uint8_t>(0, 0, d, h, box.begin.w);
      for (int64_t w = 0; w < box.end.w - box.begin.w; ++w) {
        if (t[w] == kIgnoreTarget) p[w] = t[w] = 0;
      }
    }
  }
}

/// Scores of every output; those of classes begin after the background, whose place stays empty.
std::vector<LossAndCounts::SurfaceScores> surface_scores(const TensorView& prediction,
                                                         const LoadedCase& loaded,
                                                         const LossAndCounts::Counts& counts,
                                                         const EvaluationCases& cases) {
  const Box3& box = loaded.placement.valid;
  const LabelCoding coding = cases.load->target->coding;
  clear_ignored(prediction, *loaded.target, box);
  std::vector<LossAndCounts::SurfaceScores> scores(counts.truth.size());
  for (size_t k = coding == LabelCoding::classes ? 1 : 0; k < scores.size(); ++k) {
    if (counts.truth[k] + counts.predicted[k] == 0) continue;
    const auto label = static_cast<int64_t>(k);
    const SurfaceDistances distances =
        surface_distances({prediction, coding, label}, {*loaded.target, coding, label}, box,
                          loaded.header.geometry.spacing_mm);
    scores[k] = {normalised_surface_dice(distances, *cases.surface_tolerance_mm),
                 hausdorff_mm(distances, 95.0)};
  }
  return scores;
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
    LossAndCounts::Counts& counts = result.samples.back();
    counts.soft = read_soft_sums(session.view(*program.program, program.graph.sums));
    if (program.graph.logits != kNone) {
      counts.logits = channels_of(session.view(*program.program, program.graph.logits));
      counts.features = channels_of(session.view(*program.program, program.graph.features));
    } else if (cases.surface_tolerance_mm) {
      counts.surfaces = surface_scores(session.view(*program.program, program.graph.labels),
                                       *loaded, counts, cases);
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
      label.soft = counts.soft.at(k);
      if (!counts.surfaces.empty()) {
        label.nsd = counts.surfaces[k].nsd;
        label.hd95_mm = counts.surfaces[k].hd95_mm;
      }
      scores.labels.push_back(label);
    }
    summary.cases.push_back(std::move(scores));
  }
  return summary;
}

}  // namespace wholemount
