#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "testing/fill.h"
#include "testing/guarded_buffer.h"
#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/graph/kernel.h"

namespace wholemount {

/// Inputs of a kernel in memory of their own, filled as the fills say. The same seed gives the same
/// values whatever the element types and layouts.
class TestInputs {
 public:
  TestInputs(std::vector<TensorDesc> descs, const std::vector<InputFill>& fills, uint64_t seed);

  [[nodiscard]] const std::vector<InputView>& views() const { return views_; }
  [[nodiscard]] bool absent(size_t input) const { return views_[input].view.desc.n == 0; }
  [[nodiscard]] const GuardedBuffer& buffer(size_t input) const { return buffers_[input]; }

 private:
  void add_scale_shift(InputView& input, uint64_t seed);

  std::vector<GuardedBuffer> buffers_;
  std::vector<GuardedBuffer> scale_shift_;
  std::vector<InputView> views_;
};

/// Outputs of a kernel in memory of their own, poisoned.
class TestOutputs {
 public:
  explicit TestOutputs(const std::vector<TensorDesc>& descs);

  [[nodiscard]] std::vector<OutputView>& views() { return views_; }
  [[nodiscard]] const std::vector<OutputView>& views() const { return views_; }
  [[nodiscard]] GuardedBuffer& buffer(size_t output) { return buffers_[output]; }
  [[nodiscard]] const GuardedBuffer& buffer(size_t output) const { return buffers_[output]; }
  [[nodiscard]] size_t size() const { return buffers_.size(); }

 private:
  std::vector<GuardedBuffer> buffers_;
  std::vector<OutputView> views_;
};

/// Poisoned scratch of one kernel run.
class TestScratch {
 public:
  TestScratch(const Kernel& kernel, int num_threads);
  [[nodiscard]] std::byte* shared() const { return shared_.data(); }
  [[nodiscard]] std::byte* thread(int index) const {
    return threads_[static_cast<size_t>(index)].data();
  }
  /// A task must not rely on what an earlier one left in its thread's scratch.
  void poison_thread(int index) { threads_[static_cast<size_t>(index)].poison(); }
  [[nodiscard]] bool guards_intact() const;

 private:
  GuardedBuffer shared_;
  std::vector<GuardedBuffer> threads_;
};

/// The tasks of a phase in rising order, or shuffled when there is a seed.
[[nodiscard]] std::vector<int64_t> task_order(int64_t num_tasks, std::optional<uint64_t> shuffle);

/// Runs all tasks on the calling thread: in rising order with one thread scratch, or shuffled over
/// three of them.
void run_kernel(const Kernel& kernel, const std::vector<InputView>& inputs,
                const std::vector<OutputView>& outputs,
                const std::vector<InputView>& decisions = {}, std::optional<uint64_t> shuffle = {});

/// Runs all tasks on the pool.
void run_kernel(const Kernel& kernel, const std::vector<InputView>& inputs,
                const std::vector<OutputView>& outputs, ThreadPool& threads);

/// Runs a streamable kernel task by task on windows: `windowed_inputs[i]` and
/// `windowed_outputs[o]` are seen as the slabs of input_box and output_box only, all else whole.
/// Fails the test when a task writes outside its output_box.
void run_kernel_on_windows(const Kernel& kernel, const std::vector<InputView>& inputs,
                           TestOutputs& outputs, const std::vector<bool>& windowed_inputs,
                           const std::vector<bool>& windowed_outputs);

}  // namespace wholemount
