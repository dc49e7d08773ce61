#include "wholemount/train/step_timeline.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "wholemount/base/clock.h"

namespace wholemount {

namespace {

struct TaskRecord {
  double begin = 0;
  double end = 0;
  pid_t thread = 0;
};

/// A kernel that notes when each of its tasks ran, and where.
class TimedKernel final : public Kernel {
 public:
  explicit TimedKernel(std::shared_ptr<const Kernel> kernel) : kernel_(std::move(kernel)) {
    for (int phase = 0; phase < kernel_->num_phases(); ++phase) {
      records_.emplace_back(static_cast<size_t>(kernel_->num_tasks(phase)));
    }
  }
  [[nodiscard]] std::string name() const override { return kernel_->name(); }
  [[nodiscard]] int64_t flops() const override { return kernel_->flops(); }
  [[nodiscard]] int64_t traffic_bytes() const override { return kernel_->traffic_bytes(); }
  [[nodiscard]] size_t shared_scratch_bytes() const override {
    return kernel_->shared_scratch_bytes();
  }
  [[nodiscard]] size_t thread_scratch_bytes() const override {
    return kernel_->thread_scratch_bytes();
  }
  [[nodiscard]] int num_phases() const override { return kernel_->num_phases(); }
  [[nodiscard]] int64_t num_tasks(int phase) const override { return kernel_->num_tasks(phase); }
  [[nodiscard]] bool streamable() const override { return kernel_->streamable(); }
  [[nodiscard]] Box3 input_box(int phase, int64_t task, int input) const override {
    return kernel_->input_box(phase, task, input);
  }
  [[nodiscard]] Box3 output_box(int phase, int64_t task, int output) const override {
    return kernel_->output_box(phase, task, output);
  }
  void run(int phase, int64_t task, const KernelArgs& args) const override {
    // Every task has a place of its own, so threads do not meet.
    TaskRecord& record = records_[static_cast<size_t>(phase)][static_cast<size_t>(task)];
    record.begin = monotonic_seconds();
    kernel_->run(phase, task, args);
    record.end = monotonic_seconds();
    record.thread = gettid();
  }
  [[nodiscard]] const std::vector<std::vector<TaskRecord>>& records() const { return records_; }

 private:
  std::shared_ptr<const Kernel> kernel_;
  mutable std::vector<std::vector<TaskRecord>> records_;
};

}  // namespace

double StepTimeline::idle_share() const {
  return seconds > 0 ? 1.0 - busy_seconds / (seconds * num_threads) : 0.0;
}

StepTimeline record_timeline(Session& session, const Program& program, const RunSpec& run,
                             int num_threads) {
  Program timed = program;
  std::vector<std::shared_ptr<const TimedKernel>> kernels;
  for (Step& step : timed.steps) {
    kernels.push_back(std::make_shared<TimedKernel>(step.kernel));
    step.kernel = kernels.back();
  }
  StepTimeline timeline;
  timeline.num_threads = num_threads;
  const double begin = monotonic_seconds();
  session.run(timed, run);
  timeline.seconds = monotonic_seconds() - begin;

  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  std::vector<pid_t> threads;
  for (size_t step = 0; step < kernels.size(); ++step) {
    const Node& node = program.graph->nodes[static_cast<size_t>(program.steps[step].node)];
    for (size_t phase = 0; phase < kernels[step]->records().size(); ++phase) {
      for (const TaskRecord& record : kernels[step]->records()[phase]) {
        timeline.busy_seconds += record.end - record.begin;
        auto thread = std::find(threads.begin(), threads.end(), record.thread);
        if (thread == threads.end()) thread = threads.insert(thread, record.thread);
        events.push_back({{"name", node.name},
                          {"cat", kernels[step]->name()},
                          {"ph", "X"},
                          {"pid", 0},
                          {"tid", thread - threads.begin()},
                          {"ts", (record.begin - begin) * 1e6},
                          {"dur", (record.end - record.begin) * 1e6},
                          {"args", {{"phase", phase}}}});
      }
    }
  }
  timeline.trace = nlohmann::ordered_json{{"traceEvents", std::move(events)}}.dump();
  return timeline;
}

}  // namespace wholemount
