#include "wholemount/report/case_study.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <utility>

#include "wholemount/base/memory.h"
#include "wholemount/exec/safetensors.h"
#include "wholemount/predict/predict_files.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/checkpoint.h"
#include "wholemount/train/job_plan.h"
#include "wholemount/train/model_file.h"
#include "wholemount/train/run_folder.h"

namespace wholemount {

namespace {

/// Network, weights and session for a list of validation cases.
class Study {
 public:
  Study(const DataJob& data, const CaseStudySpec& spec)
      : data_(data), spec_(spec), programs_(make_programs()) {
    const std::vector<int64_t>& validation = data.split.validation;
    const auto count = std::min<int64_t>(kMaxScored, static_cast<int64_t>(validation.size()));
    indices_.assign(validation.begin(), validation.begin() + count);
    classes_ = data.job.task.target == TargetKind::classes;
  }

  CaseStudy run() {
    CaseStudy study;
    study.num_validation_cases = static_cast<int64_t>(data_.split.validation.size());
    const std::vector<std::string>& outputs = data_.job.task.outputs;
    study.outputs.assign(outputs.begin() + (classes_ ? 1 : 0), outputs.end());
    if (indices_.empty()) return study;
    study.weights = load_parameters();
    {
      const size_t arena_bytes = plan_arena();
      Session session(*spec_.pool, *store_, arena_bytes, data_.job.config.memory.spill.value_or(""),
                      spill_bytes_);
      for_each_case(session, indices_, [&](const LoadedCase& loaded, const TensorView& labels) {
        study.cases.push_back(score(loaded, labels));
        if (spec_.progress) spec_.progress(study.cases.size(), indices_.size());
      });
      sort_worst_first(study.cases);
      add_samples(session, study);
    }
    write_predictions(study);
    return study;
  }

 private:
  InferencePrograms make_programs() {
    PlanSpec plan_spec = plan_spec_from_config(data_.job.config, spec_.pool->num_threads());
    plan_spec.arena_budget_bytes = spec_.arena_budget_bytes;
    InferenceSpec inference;
    inference.target = data_.job.task.target;
    return {data_.job.network, inference, plan_spec,
            current_time_model(plan_spec.target, plan_spec.num_threads)};
  }

  /// Returns where the weights come from.
  std::string load_parameters() {
    const JobSpec& job = data_.job;
    const std::vector<ParameterSpec> parameters =
        programs_.get(job.network.divisor).graph.graph->parameters;
    const std::filesystem::path folder(spec_.run_folder);
    const std::filesystem::path model = folder / RunFolderNames::kModel;
    if (std::filesystem::exists(model)) {
      store_ = std::make_unique<ParameterStore>(parameters, ParameterBlocks{});
      load_weights(SafetensorsFile(model.string()), *store_);
      return "the run's model.safetensors";
    }
    const std::filesystem::path checkpoints = folder / RunFolderNames::kCheckpoint;
    if (!has_checkpoint(checkpoints)) {
      throw FileError(model.string(), "no such file, and the run has no checkpoint yet either");
    }
    store_ = std::make_unique<ParameterStore>(
        parameters, ParameterBlocks{0, num_optimiser_states(job.config.train.optimizer)});
    const LoadedCheckpoint loaded =
        load_checkpoint(checkpoints, net_spec_text(job.config, job.task), *store_);
    return "the checkpoint after update " + std::to_string(loaded.state.step) +
           " (the run has not ended yet)";
  }

  /// Also plans the staging; refuses what does not fit.
  size_t plan_arena() {
    std::vector<Extent3> extents;
    size_t arena_bytes = 0;
    for (const int64_t index : indices_) {
      extents.push_back(data_.extents[static_cast<size_t>(index)]);
      const Extent3 padded = place_volume(extents.back(), data_.evaluation_load.shape).padded;
      const Program& program = *programs_.get(padded).program;
      arena_bytes = std::max(arena_bytes, program.arena_bytes);
      spill_bytes_ = std::max(spill_bytes_, program.spill_bytes);
    }
    staging_ = plan_staging(data_.evaluation_load, extents, 2);
    const size_t need = arena_bytes + staging_.total_bytes;
    const size_t have = available_memory_bytes();
    if (need > have) {
      throw MemoryBudgetError("predicting the validation cases whole needs " + format_bytes(need) +
                              ", " + format_bytes(have) + " are free");
    }
    return arena_bytes;
  }

  template <class Visit>
  void for_each_case(Session& session, const std::vector<int64_t>& indices, const Visit& visit) {
    std::vector<CaseRequest> order;
    for (const int64_t index : indices) order.push_back({index, 0});
    CaseStream stream(data_.dataset.cases, data_.evaluation_load, staging_, std::move(order));
    while (const LoadedCase* loaded = stream.next()) {
      const InferenceProgram& program = programs_.get(loaded->image.desc.extent);
      RunSpec run;
      run.inputs = {{program.graph.image, loaded->image.origin}};
      session.run(*program.program, run);
      visit(*loaded, session.view(*program.program, program.graph.labels));
      stream.release(loaded);
    }
  }

  [[nodiscard]] ScoredCase score(const LoadedCase& loaded, const TensorView& labels) const {
    ScoredCase scored;
    scored.id = loaded.id;
    scored.case_index = loaded.case_index;
    scored.counts = count_overlap(labels, *loaded.target, loaded.placement.valid,
                                  classes_ ? LabelCoding::classes : LabelCoding::regions,
                                  static_cast<int64_t>(data_.job.task.outputs.size()));
    const auto& spacing = loaded.header.geometry.spacing_mm;
    const double voxel_ml = spacing[0] * spacing[1] * spacing[2] / 1000;
    for (size_t k = classes_ ? 1 : 0; k < scored.counts.size(); ++k) {
      scored.dice.push_back(dice(scored.counts[k]));
      // Regions lie inside each other; their largest stands for all.
      const double truth = voxel_ml * static_cast<double>(scored.counts[k].reference());
      const double predicted = voxel_ml * static_cast<double>(scored.counts[k].predicted());
      scored.truth_ml = classes_ ? scored.truth_ml + truth : std::max(scored.truth_ml, truth);
      scored.predicted_ml =
          classes_ ? scored.predicted_ml + predicted : std::max(scored.predicted_ml, predicted);
    }
    scored.mean_dice = mean_of_defined(scored.dice);
    return scored;
  }

  static void sort_worst_first(std::vector<ScoredCase>& cases) {
    std::stable_sort(cases.begin(), cases.end(), [](const ScoredCase& a, const ScoredCase& b) {
      return a.mean_dice.value_or(2) < b.mean_dice.value_or(2);
    });
  }

  void add_samples(Session& session, CaseStudy& study) {
    const auto defined = static_cast<size_t>(
        std::count_if(study.cases.begin(), study.cases.end(),
                      [](const ScoredCase& scored) { return scored.mean_dice.has_value(); }));
    const std::vector<size_t> positions = sample_positions(defined, spec_.num_samples);
    std::vector<int64_t> indices;
    for (const size_t position : positions) indices.push_back(study.cases[position].case_index);
    for_each_case(session, indices, [&](const LoadedCase& loaded, const TensorView& labels) {
      const size_t number = study.samples.size();
      SampleCase sample;
      sample.scores = study.cases[positions[number]];
      sample.which = name_of(number, positions.size());
      const int64_t channel = data_.evaluation_load.channels.front();
      sample.channel_name = data_.dataset.channel_names[static_cast<size_t>(channel)];
      sample.volume = volume_of(loaded, labels, channel);
      study.samples.push_back(std::move(sample));
    });
  }

  static std::string name_of(size_t number, size_t count) {
    if (number == 0) return "worst";
    if (number + 1 == count) return "best";
    return count == 3 ? "median"
                      : "rank " + std::to_string(number + 1) + " of " + std::to_string(count) +
                            " from worst to best";
  }

  /// The used part of a case: the first channel as stored (before normalisation, which would lift
  /// what lies outside a brain), truth and prediction as codes.
  [[nodiscard]] LabelledVolume volume_of(const LoadedCase& loaded, const TensorView& labels,
                                         int64_t channel) const {
    LabelledVolume volume;
    const Box3& source = loaded.placement.source;
    const Box3& valid = loaded.placement.valid;
    volume.extent = source.extent();
    volume.geometry = loaded.header.geometry;
    const Case& subject = data_.dataset.cases[static_cast<size_t>(loaded.case_index)];
    const ChannelFile& file = subject.channels[static_cast<size_t>(channel)];
    const std::unique_ptr<VolumeReader> opened = open_volume(file.path);
    VolumeReader& reader = *opened;
    const Extent3& stored = reader.header().extent;
    std::vector<float> plane(static_cast<size_t>(stored.h * stored.w));
    for (int64_t d = 0; d < volume.extent.d; ++d) {
      reader.read_planes({file.channel, source.begin.d + d, 1}, plane);
      for (int64_t h = 0; h < volume.extent.h; ++h) {
        const auto row = plane.begin() + (source.begin.h + h) * stored.w + source.begin.w;
        volume.image.insert(volume.image.end(), row, row + volume.extent.w);
        const auto copy = [&](const TensorView& from, std::vector<uint8_t>& to) {
          const auto* codes =
              from.at<const uint8_t>(0, 0, valid.begin.d + d, valid.begin.h + h, valid.begin.w);
          to.insert(to.end(), codes, codes + volume.extent.w);
        };
        copy(*loaded.target, volume.truth);
        copy(labels, volume.prediction);
      }
    }
    return volume;
  }

  void write_predictions(CaseStudy& study) {
    if (study.samples.empty()) return;
    PredictSpec predict;
    predict.network = data_.job.network;
    predict.target = data_.job.task.target;
    predict.label_values = data_.job.task.label_values;
    predict.load = data_.evaluation_load;
    predict.load.target.reset();
    predict.out_folder = spec_.out_folder;
    predict.spill_folder = data_.job.config.memory.spill.value_or("");
    std::vector<Case> cases;
    for (const SampleCase& sample : study.samples) {
      Case subject = data_.dataset.cases[static_cast<size_t>(sample.scores.case_index)];
      subject.label.clear();
      cases.push_back(std::move(subject));
    }
    const PredictPlan plan = plan_prediction(predict, cases, programs_, store_->specs());
    const std::vector<PredictedFile> files = predict_files(
        predict, plan, cases, programs_, *store_, *spec_.pool, [](const PredictedFile&) {});
    for (size_t i = 0; i < files.size(); ++i) study.samples[i].prediction_file = files[i].output;
  }

  const DataJob& data_;
  const CaseStudySpec& spec_;
  InferencePrograms programs_;
  std::unique_ptr<ParameterStore> store_;
  StagingPlan staging_;
  size_t spill_bytes_ = 0;
  std::vector<int64_t> indices_;
  bool classes_ = false;
};

}  // namespace

std::vector<size_t> sample_positions(size_t num_cases, int64_t num_samples) {
  std::vector<size_t> positions;
  const size_t count = std::min(num_cases, static_cast<size_t>(std::max<int64_t>(0, num_samples)));
  for (size_t i = 0; i < count; ++i) {
    positions.push_back(count == 1 ? 0 : i * (num_cases - 1) / (count - 1));
  }
  return positions;
}

CaseStudy study_cases(const DataJob& data, const CaseStudySpec& spec) {
  return Study(data, spec).run();
}

}  // namespace wholemount
