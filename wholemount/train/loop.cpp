#include "wholemount/train/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/signal_flag.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/case_evaluation.h"
#include "wholemount/train/checkpoint.h"
#include "wholemount/train/classification_scores.h"
#include "wholemount/train/job_plan.h"
#include "wholemount/train/model_file.h"
#include "wholemount/train/plan_json.h"
#include "wholemount/train/progress.h"
#include "wholemount/train/run_folder.h"
#include "wholemount/train/run_log.h"

namespace wholemount {

namespace {

constexpr double kCheckpointSeconds = 600;  // long epochs get checkpoints in between

using Json = nlohmann::ordered_json;

Json json_of(const Scores& scores) {
  Json json = Json::object();
  for (const auto& [name, value] : scores) {
    json[name] = value.has_value() ? Json(*value) : Json(nullptr);
  }
  return json;
}

Json json_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

/// Rows are true classes, columns what images were called.
Json confusion_json(const TaskSpec& task, const std::vector<LossAndCounts::Counts>& images) {
  const ConfusionMatrix matrix = confusion_matrix(task, images);
  Json rows = Json::array();
  for (int64_t truth = 0; truth < matrix.classes(); ++truth) {
    Json row = Json::array();
    for (int64_t called = 0; called < matrix.classes(); ++called) {
      row.push_back(matrix.at(truth, called));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// State and steps of one run; lives for one call of train().
class Training {
 public:
  Training(const DataJob& data, const TrainSpec& spec)
      : data_(data),
        job_(data.job),
        config_(data.job.config),
        spec_(spec),
        time_(current_time_model(Target{}, spec.threads)),
        pool_(spec.threads),
        programs_(job_, plan_spec_from_config(config_, spec.threads), time_),
        train_load_(data.train_load),
        evaluation_load_(data.evaluation_load),
        plan_(plan_job(job_, programs_, spec.threads, memory_budget_bytes(config_, spec.memory))) {
    check_budget(plan_);
  }

  TrainSummary run() {
    open_folder();
    allocate();
    restore_or_initialise();
    fit_intensity();
    tell_leak();
    begin_seconds_ = monotonic_seconds();
    last_checkpoint_seconds_ = begin_seconds_;
    const SignalFlag signal;
    std::string status = "finished";
    while (state_.epoch < config_.train.epochs) {
      const std::string stopped = run_epoch(signal);
      if (!stopped.empty()) {
        status = stopped;
        break;
      }
      ++state_.epoch;
      evaluate_if_due();
      if (state_.epoch % config_.train.checkpoint_every == 0 ||
          state_.epoch == config_.train.epochs) {
        checkpoint();
      }
      if (target_reached()) {
        status = "target-reached";
        break;
      }
    }
    if (status != "interrupted" && status != "max-steps" &&
        state_.epoch % config_.train.evaluate_every != 0) {
      evaluate();
    }
    checkpoint();
    return finish(status);
  }

 private:
  void open_folder() {
    folder_ = std::make_unique<RunFolder>(
        spec_.run_folder, spec_.resume ? RunFolder::Mode::resume : RunFolder::Mode::fresh);
    net_spec_ = net_spec_text(config_, job_.task);
  }

  void allocate() {
    const UpdateProgram& program = programs_.update.get(plan_.largest);
    store_ = std::make_unique<ParameterStore>(program.graph.graph->parameters, plan_.blocks);
    session_ = std::make_unique<Session>(pool_, *store_, plan_.arena_bytes,
                                         config_.memory.spill.value_or(""), plan_.spill_bytes);
    staging_ = PageBuffer(data_.staging.slots_bytes());
  }

  void restore_or_initialise() {
    const auto folder = folder_->file(RunFolderNames::kCheckpoint);
    if (spec_.resume && has_checkpoint(folder)) {
      const LoadedCheckpoint loaded = load_checkpoint(folder, net_spec_, *store_);
      if (!loaded.warning.empty()) {
        progress_.message(loaded.warning);
      }
      state_ = loaded.state;
      if (state_.config_digest != config_digest(config_)) {
        throw ConfigError(spec_.run_folder +
                          ": the configuration differs from the one this run was started with in "
                          "keys that decide its result; resume with the run's own config.toml, or "
                          "start another run with --out");
      }
      if (state_.data_digest != data_.data_digest) {
        throw FileError(config_.data.root,
                        "the data set has changed since this run began (cases, files or split); "
                        "restore it, or start another run with --out");
      }
    } else {
      store_->initialise(static_cast<uint64_t>(config_.train.seed), pool_);
      state_.config_digest = config_digest(config_);
      state_.data_digest = data_.data_digest;
      state_.net_spec = net_spec_;
      folder_->write(RunFolderNames::kConfig, to_toml(portable_config()));
      folder_->write(RunFolderNames::kPlan, plan_json(job_, plan_).dump(2) + "\n");
    }
    log_ = std::make_unique<RunLog>(*folder_, state_.step);
  }

  /// Numbers that are fitted to the training fields before they are trained on; a resumed run
  /// keeps those it has.
  void fit_intensity() {
    if (!needs_intensity_fit(config_)) return;
    const std::string path = folder_->file(RunFolderNames::kIntensity).string();
    std::error_code ignored;
    if (spec_.resume && std::filesystem::exists(path, ignored)) {
      std::ifstream file(path, std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      fit_ = std::make_shared<const IntensityFit>(
          parse_intensity_fit(text, path, static_cast<size_t>(job_.task.in_channels)));
    } else {
      const double begin = monotonic_seconds();
      fit_ = fit_job_intensity(data_);
      folder_->write(RunFolderNames::kIntensity, to_json(*fit_) + "\n");
      progress_.message(fmt::format("fitted intensities of {} plates in {}", fit_->plates.size(),
                                    duration_text(monotonic_seconds() - begin)));
    }
    train_load_.fit = fit_;
    evaluation_load_.fit = fit_;
  }

  void tell_leak() {
    if (!data_.leaks) return;
    progress_.message(kLeakWarning);
    if (state_.step > 0) return;  // resumed: the log has it
    Json line;
    line["kind"] = "warning";
    line["step"] = state_.step;
    line["split_leaks"] = true;
    line["message"] = kLeakWarning;
    log_->append(line);
  }

  /// The configuration with the data set's whole path, so that the run folder and its model serve
  /// from any current folder.
  [[nodiscard]] RunConfig portable_config() const {
    RunConfig config = config_;
    std::error_code error;
    const std::filesystem::path root = std::filesystem::absolute(config.data.root, error);
    if (!error) config.data.root = root.lexically_normal().string();
    return config;
  }

  /// The cases of an epoch, in order. Without train.steps_per_epoch an epoch is one pass over the
  /// shuffled training cases; with it, updates walk on through as many passes as they need.
  [[nodiscard]] std::vector<CaseRequest> epoch_order(int64_t epoch) const {
    const auto seed = static_cast<uint64_t>(config_.train.seed);
    const auto cases = static_cast<int64_t>(data_.split.train.size());
    const bool fixed_steps = config_.train.steps_per_epoch.has_value();
    const int64_t count = fixed_steps ? steps_per_epoch(job_) * update_batch(job_) : cases;
    std::vector<CaseRequest> order;
    std::vector<int64_t> pass_order;
    int64_t pass = kNone;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t position = epoch * count + i;
      if (position / cases != pass) {
        pass = position / cases;
        pass_order = config_.data.balance && job_.task.whole_image
                         ? balance_for_epoch(data_.split.train, data_.dataset, seed,
                                             static_cast<uint64_t>(pass))
                         : shuffle_for_epoch(data_.split.train, seed, static_cast<uint64_t>(pass));
      }
      order.push_back(
          {pass_order[static_cast<size_t>(position % cases)], static_cast<uint64_t>(pass)});
    }
    return order;
  }

  /// Runs what is left of the current epoch; returns why it stopped early, or nothing.
  std::string run_epoch(const SignalFlag& signal) {
    const int64_t batch = update_batch(job_);
    const int64_t steps = steps_per_epoch(job_);
    const int64_t first = state_.step - state_.epoch * steps;
    if (first >= steps) {
      return {};
    }
    std::vector<CaseRequest> order = epoch_order(state_.epoch);
    order.erase(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(first * batch));
    auto remaining = static_cast<int64_t>(order.size());
    CaseStream stream(data_.dataset.cases, train_load_, data_.staging, std::move(order),
                      {staging_.data(), data_.staging.slots_bytes()});
    UpdateRunner runner(programs_.update, *session_, config_.train.sum_groups);
    for (int64_t step = first; step < steps; ++step) {
      if (signal.raised()) {
        return "interrupted";
      }
      run_update(stream, runner, std::min(batch, remaining));
      remaining -= batch;
      if (spec_.max_steps.has_value() && steps_done_ >= *spec_.max_steps) {
        return "max-steps";
      }
      // Not after an epoch's last update: its evaluation comes first, and is logged once.
      if (step + 1 < steps && monotonic_seconds() - last_checkpoint_seconds_ > kCheckpointSeconds) {
        checkpoint();
      }
    }
    return {};
  }

  void run_update(CaseStream& stream, UpdateRunner& runner, int64_t batch) {
    const int64_t per_program = samples_per_program(job_);
    double seconds = 0;
    runner.begin(batch);
    for (int64_t done = 0; done < batch;) {
      std::vector<const LoadedCase*> cases;
      std::vector<BoundSample> samples;
      for (int64_t i = 0; i < std::min(per_program, batch - done); ++i) {
        cases.push_back(stream.next());
        const LoadedCase& loaded = *cases.back();
        samples.push_back({loaded.image.desc.extent, loaded.image.origin, loaded.target->origin});
      }
      const double begin = monotonic_seconds();
      runner.run(samples);
      seconds += monotonic_seconds() - begin;
      done += static_cast<int64_t>(cases.size());
      for (const LoadedCase* loaded : cases) {
        stream.release(loaded);
      }
    }
    const double begin = monotonic_seconds();
    UpdateInput input;
    input.rate = learning_rate(
        config_.train.schedule,
        scaled_rate(config_.train.schedule, config_.train.optimizer.rate, update_batch(job_)),
        {state_.step, steps_per_epoch(job_), steps_per_epoch(job_) * config_.train.epochs,
         state_.validation_losses});
    input.update = state_.step + 1;
    input.gradient_scale = 1.0 / static_cast<double>(batch);
    input.clip_norm = config_.train.clip_norm;
    input.observations = runner.num_programs();
    input.statistic_momentum = config_.net.norm_momentum;
    const UpdateResult result = update(*store_, config_.train.optimizer, input, pool_);
    seconds += monotonic_seconds() - begin;
    if (!result.applied || !std::isfinite(runner.result().loss_sum)) {
      throw ConfigError("update " + std::to_string(state_.step + 1) +
                        ": the loss or its gradient is not finite; lower train.optimizer.rate or "
                        "set train.clip_norm, and resume from the last checkpoint");
    }
    ++state_.step;
    ++steps_done_;
    images_done_ += batch;
    step_seconds_.push_back(seconds);
    last_loss_ = runner.result().mean_loss();
    Json line;
    line["kind"] = "step";
    line["step"] = state_.step;
    line["epoch"] = state_.epoch;
    line["loss"] = last_loss_;
    line["rate"] = input.rate;
    line["gradient_norm"] = result.gradient_norm;
    line["seconds"] = seconds;
    log_->append(line);
    show_progress({});
  }

  void evaluate_if_due() {
    if (state_.epoch % config_.train.evaluate_every == 0) {
      evaluate();
    }
  }

  void evaluate() {
    if (data_.split.validation.empty()) {
      return;
    }
    const double begin = monotonic_seconds();
    show_progress("evaluating");
    const EvaluationCases cases{data_.dataset.cases,
                                data_.split.validation,
                                &evaluation_load_,
                                data_.staging,
                                {staging_.data(), data_.staging.slots_bytes()}};
    const LossAndCounts result = evaluate_cases(cases, programs_.evaluation, *session_);
    metrics_ = task_scores(job_.task, result.samples);
    state_.validation_losses.push_back(result.mean_loss());
    const std::optional<double> score = metrics_[main_metric(job_.task)];
    if (score.has_value() && (!state_.best_metric.has_value() || *score > *state_.best_metric)) {
      state_.best_metric = score;
      state_.best_epoch = state_.epoch;
    }
    Json line;
    line["kind"] = "evaluation";
    line["step"] = state_.step;
    line["epoch"] = state_.epoch;
    line["loss"] = json_or_null(result.mean_loss());
    line["metrics"] = json_of(metrics_);
    if (data_.leaks) line["split_leaks"] = true;
    if (job_.task.whole_image) line["confusion"] = confusion_json(job_.task, result.samples);
    line["seconds"] = monotonic_seconds() - begin;
    log_->append(line);
    tell_evaluation(result.mean_loss(), monotonic_seconds() - begin);
    show_progress({});
  }

  void tell_evaluation(double loss, double seconds) {
    std::string text = fmt::format("epoch {}: validation loss {:.4f}", state_.epoch, loss);
    const char* const name = main_metric(job_.task);
    if (const std::optional<double> score = metrics_[name]; score.has_value()) {
      text += fmt::format(", {} {:.4f} (best {:.4f} after epoch {}){}", name, *score,
                          state_.best_metric.value_or(*score), state_.best_epoch,
                          data_.leaks ? " of a LEAKING SPLIT" : "");
    }
    progress_.message(text + fmt::format(", {}", duration_text(seconds)));
  }

  [[nodiscard]] bool target_reached() {
    if (!config_.train.target.has_value()) {
      return false;
    }
    const auto metric = metrics_.find(config_.train.target->metric);
    if (metric == metrics_.end() || !metric->second.has_value() ||
        *metric->second < config_.train.target->value) {
      return false;
    }
    const double opening = spec_.resume ? 0.0 : begin_seconds_ - data_.first_touch_seconds;
    seconds_to_target_ = training_seconds() + opening;
    return true;
  }

  [[nodiscard]] double training_seconds() const {
    return state_.seconds + monotonic_seconds() - begin_seconds_;
  }

  void checkpoint() {
    CheckpointState state = state_;
    state.seconds = training_seconds();
    folder_->sync_log();
    save_checkpoint(folder_->file(RunFolderNames::kCheckpoint), state, *store_);
    last_checkpoint_seconds_ = monotonic_seconds();
  }

  void show_progress(const std::string& activity) {
    ProgressState shown;
    shown.activity = activity;
    shown.epoch = std::min(state_.epoch + 1, config_.train.epochs);
    shown.epochs = config_.train.epochs;
    shown.step = state_.step;
    shown.steps = steps_per_epoch(job_) * config_.train.epochs;
    if (steps_done_ > 0) {
      shown.loss = last_loss_;
      // Evaluations and checkpoints are in the elapsed time, so they are in the remaining one.
      shown.seconds_left = (monotonic_seconds() - begin_seconds_) /
                           static_cast<double>(steps_done_) *
                           static_cast<double>(shown.steps - shown.step);
    }
    shown.metric_name = main_metric(job_.task);
    if (const auto metric = metrics_.find(shown.metric_name); metric != metrics_.end()) {
      shown.metric = metric->second;
    }
    shown.bytes_now = process_memory().resident_bytes;
    shown.bytes_planned = plan_.memory.peak_bytes();
    progress_.update(shown);
  }

  TrainSummary finish(const std::string& status) {
    progress_.finish();
    save_model(folder_->file(RunFolderNames::kModel).string(), {portable_config(), job_.task, fit_},
               *store_);
    TrainSummary summary;
    summary.status = status;
    summary.epochs = state_.epoch;
    summary.steps = state_.step;
    summary.predicted_peak_bytes = plan_.memory.peak_bytes();
    summary.predicted_step_seconds = plan_.step_seconds;
    summary.measured_step_seconds = median(step_seconds_);
    summary.loss = last_loss_;
    summary.metrics = metrics_;
    summary.split_leaks = data_.leaks;
    summary.weights_digest = store_->digest();
    summary.seconds = training_seconds();
    summary.seconds_to_target = seconds_to_target_;
    summary.images_per_second =
        static_cast<double>(images_done_) / (monotonic_seconds() - begin_seconds_);
    summary.measured_peak_bytes = process_memory().peak_resident_bytes;
    folder_->write(RunFolderNames::kSummary, summary_json(summary).dump(2) + "\n");
    return summary;
  }

  const DataJob& data_;
  const JobSpec& job_;
  const RunConfig& config_;
  const TrainSpec& spec_;
  std::shared_ptr<const IntensityFit> fit_;
  TimeModel time_;
  ThreadPool pool_;
  JobPrograms programs_;
  LoadSpec train_load_;       ///< with what was fitted
  LoadSpec evaluation_load_;  ///< with what was fitted
  JobPlan plan_;
  std::unique_ptr<RunFolder> folder_;
  std::unique_ptr<RunLog> log_;
  std::unique_ptr<ParameterStore> store_;
  std::unique_ptr<Session> session_;
  PageBuffer staging_;
  std::string net_spec_;
  CheckpointState state_;
  Progress progress_;
  Scores metrics_;
  std::vector<double> step_seconds_;
  std::optional<double> seconds_to_target_;
  int64_t steps_done_ = 0;
  int64_t images_done_ = 0;
  double last_loss_ = 0;
  double begin_seconds_ = 0;
  double last_checkpoint_seconds_ = 0;
};

}  // namespace

nlohmann::ordered_json summary_json(const TrainSummary& summary) {
  Json json;
  json["status"] = summary.status;
  json["epochs"] = summary.epochs;
  json["steps"] = summary.steps;
  json["predicted_peak_bytes"] = summary.predicted_peak_bytes;
  json["measured_peak_bytes"] = summary.measured_peak_bytes;
  json["predicted_step_seconds"] = summary.predicted_step_seconds;
  json["measured_step_seconds"] = summary.measured_step_seconds;
  json["loss"] = json_or_null(summary.loss);
  json["metrics"] = json_of(summary.metrics);
  if (summary.split_leaks) {
    json["split_leaks"] = true;
    json["warning"] = kLeakWarning;
  }
  json["weights_digest"] = summary.weights_digest;
  json["seconds"] = summary.seconds;
  json["images_per_second"] = summary.images_per_second;
  if (summary.seconds_to_target.has_value()) {
    json["seconds_to_target"] = *summary.seconds_to_target;
  }
  return json;
}

TrainSummary train(const DataJob& job, const TrainSpec& spec) { return Training(job, spec).run(); }

}  // namespace wholemount
