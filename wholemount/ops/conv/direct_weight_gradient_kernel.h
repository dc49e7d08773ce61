#pragma once

#include <string>

#include "wholemount/ops/conv/inner/few_coarse.h"
#include "wholemount/ops/conv/source_lines.h"
#include "wholemount/ops/conv/source_ring.h"
#include "wholemount/ops/conv/weight_gradient_kernel.h"

namespace wholemount {

/// Direct weight gradient: a task copies the rows it needs to thread scratch and sums them in
/// register tiles of taps x fine lanes x coarse channels. Coarse rows are read where they lie when
/// the fine operand is plain, an image, and fine rows when the coarse one is. Thread scratch: about
/// kRowsBytes.
class DirectWeightGradientKernel : public WeightGradientKernel {
 public:
  DirectWeightGradientKernel(WeightGradientProblem problem, Isa isa, std::string reason);

  /// Why this kernel cannot do the problem; empty when it can.
  [[nodiscard]] static std::string refusal(const WeightGradientProblem& problem);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] size_t thread_scratch_bytes() const override { return thread_bytes_; }
  [[nodiscard]] bool reads_bfloat16(int input) const override {
    return (problem_.is_blocked_coarse(input) && !sums_coarse() && !plain_to_blocked_) ||
           (problem_.is_blocked_fine(input) && !sums_fine() && !in_place_);
  }

  /// Rows of both operands that a task holds at once are limited to about this much.
  static constexpr int64_t kRowsBytes = int64_t{640} << 10;

 private:
  struct Scratch;
  /// Coarse blocks summed together.
  struct CoarseGroup {
    size_t first = 0;
    size_t count = 1;
    int32_t halves = 0;  ///< WeightGradientHalvesRun::halves; 0: WeightGradientRun
  };

  void sum_part(const Task& task, const KernelArgs& args) const override;
  void sum_band(const Task& task, int64_t n, const Box3& band, const Scratch& scratch,
                const KernelArgs& args) const;
  /// The plane jd of a band from coarse rows where they lie, which spares copying the larger
  /// operand of an image's convolution.
  void sum_rows_in_place(const Task& task, int64_t n, const Box3& band, int64_t jd,
                         const Scratch& scratch, const KernelArgs& args) const;
  /// The plane just loaded, for a coarse operand of 1 to 4 channels; its partial results are by
  /// fine lanes until turn_few_sums() gives them the common layout.
  void sum_few_coarse(const Task& task, const Box3& band, const Scratch& scratch, LinesAhead ahead,
                      const KernelArgs& args) const;
  /// The same by lines; `plane` says where the band's coarse rows lie.
  void add_few_lines(const Task& task, const Box3& band, const FewCoarseLines& plane, bool in_place,
                     const Scratch& scratch, LinesAhead ahead, const KernelArgs& args) const;
  /// The tap offsets of a plane of a band.
  void find_taps(int64_t plane, const Scratch& scratch) const;
  /// Decides whether few coarse channels meet the fine rows by lines, and where these lie.
  void build_lines();
  /// Whether the fine operands are read where they lie.
  [[nodiscard]] bool reads_in_place(const KernelArgs& args) const;
  void turn_few_sums(const Task& task, const KernelArgs& args) const;
  /// The coarse blocks from `first` on that are summed together.
  [[nodiscard]] CoarseGroup coarse_group(size_t first, size_t last) const;
  /// Where in a band a run lies, and its fine block.
  struct RunAt {
    int64_t n;
    const Box3& band;
    int64_t jd;
    int64_t first;  ///< voxel of the flat walk through the band's plane
    int64_t length;
    size_t fine;
  };
  void sum_blocks(const Task& task, const CoarseGroup& group, const RunAt& at,
                  const Scratch& scratch, LineRange ahead, const KernelArgs& args) const;
  void sum_halves(const Task& task, const CoarseGroup& group, const RunAt& at,
                  const Scratch& scratch, LineRange ahead, const KernelArgs& args) const;
  void load_coarse(const Task& task, int64_t n, const Box3& band, int64_t jd,
                   const Scratch& scratch, const KernelArgs& args) const;
  /// What will be read for plane jd + 1; `loaded` as SourceRing::load_planes() left it.
  [[nodiscard]] LinesAhead lines_ahead(const Task& task, const SourceRing::Load& load, int64_t jd,
                                       int64_t loaded, const Scratch& scratch,
                                       const KernelArgs& args) const;

  Band band_;
  SourceRing ring_;
  SourceLines lines_;               ///< empty unless few coarse channels take lines
  std::vector<int32_t> run_lines_;  ///< SourceLines::line() of runs of three taps
  bool in_place_ = false;           ///< fine operands without a transform are read where they lie
  bool blocked_to_few_ = false;     ///< blocked fine operands, a plain coarse one
  bool plain_to_blocked_ = false;   ///< plain fine operands, a blocked coarse one
  bool takes_halves_ = false;       ///< the last coarse block has no second half
  size_t thread_bytes_ = 0;
};

}  // namespace wholemount
