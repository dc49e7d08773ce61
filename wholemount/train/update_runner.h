#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "wholemount/exec/session.h"
#include "wholemount/metrics/overlap.h"
#include "wholemount/plan/planner.h"
#include "wholemount/train/update_graph.h"

namespace wholemount {

/// An update graph with its plan.
struct UpdateProgram {
  std::vector<Extent3> extents;
  UpdateGraph graph;
  std::shared_ptr<const Program> program;
};

/// Plans update programs on demand, one per list of sample shapes, and keeps the last few. A
/// program is a description (some hundred KiB of heap), not tensor memory.
class UpdatePrograms {
 public:
  static constexpr size_t kKept = 48;

  UpdatePrograms(Network network, SegmentationLossSpec loss, PlanSpec spec, TimeModel time);

  /// The program for samples of these padded extents, in this order. The reference is good until
  /// kKept other programs have been asked for.
  const UpdateProgram& get(std::span<const Extent3> extents);

  /// The network's parameters; `extent` is any shape it accepts. Plans nothing.
  [[nodiscard]] std::vector<ParameterSpec> parameters(const Extent3& extent) const;

  /// See PlanSpec::arena_budget_bytes; forgets the programs planned before.
  void set_arena_budget(size_t bytes);
  /// The same for programs planned from now on; those planned before stay.
  void keep_arena_budget(size_t bytes) { spec_.arena_budget_bytes = bytes; }

 private:
  Network network_;
  SegmentationLossSpec loss_;
  PlanSpec spec_;
  TimeModel time_;
  std::list<UpdateProgram> programs_;  ///< most recently used first
};

/// One sample as the staging area holds it.
struct BoundSample {
  Extent3 extent;               ///< padded
  std::byte* image = nullptr;   ///< TensorDesc::activation(1, c, extent)
  std::byte* target = nullptr;  ///< u8 plain [1, 1, extent]
};

/// What an update or an evaluation learnt about some samples: sums over them.
struct LossAndCounts {
  /// Undefined scores have no value (metrics/surface.h).
  struct SurfaceScores {
    std::optional<double> nsd;
    std::optional<double> hd95_mm;
  };
  double loss_sum = 0;
  int64_t losses = 0;  ///< how many were added; 1 for a loss pooled over samples
  /// Per channel: hard intersection, predicted, truth (see SegmentationLossValues::counts), of each
  /// sample in turn.
  struct Counts {
    std::vector<double> intersection;
    std::vector<double> predicted;
    std::vector<double> truth;
    double voxels = 0;
    // Of evaluations only, per channel.
    std::vector<SoftSums> soft;           ///< over probabilities
    std::vector<SurfaceScores> surfaces;  ///< where EvaluationCases asks for them
    // Of evaluations of whole images:
    std::vector<float> logits;
    std::vector<float> features;  ///< what the last layer reads
  };
  std::vector<Counts> samples;
  [[nodiscard]] double mean_loss() const {
    return losses == 0 ? 0.0 : loss_sum / static_cast<double>(losses);
  }
};

/// Reads a kept counts tensor.
[[nodiscard]] LossAndCounts::Counts read_counts(const TensorView& view);

/// Runs the forward and backward pass of one update, micro-batch by micro-batch; the batch's
/// gradient sum is then in slot 0 of the parameter store.
class UpdateRunner {
 public:
  UpdateRunner(UpdatePrograms& programs, Session& session, int64_t sum_groups);

  /// Starts an update over `batch` samples.
  void begin(int64_t batch);
  /// The next samples of the update; together they must be exactly the batch.
  void run(std::span<const BoundSample> samples);

  [[nodiscard]] const LossAndCounts& result() const { return result_; }
  /// How many programs ran in this update so far.
  [[nodiscard]] int64_t num_programs() const { return num_programs_; }

 private:
  UpdatePrograms& programs_;
  Session& session_;
  int64_t sum_groups_;
  std::unique_ptr<GradientFold> fold_;
  int64_t next_sample_ = 0;
  int64_t num_programs_ = 0;
  LossAndCounts result_;
};

}  // namespace wholemount
