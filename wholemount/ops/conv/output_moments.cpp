#include "wholemount/ops/conv/output_moments.h"

#include <algorithm>

#include "wholemount/base/checked.h"
#include "wholemount/ops/conv/inner/row_moments.h"
#include "wholemount/tensor/moments.h"

namespace wholemount {

OutputMoments::OutputMoments(int output, int64_t num_pieces, int64_t channels, size_t offset)
    : output_(output),
      num_pieces_(num_pieces),
      channels_(channels),
      num_blocks_(divide_up(channels, 16)),
      offset_(static_cast<size_t>(
          round_up(static_cast<int64_t>(offset), int64_t{alignof(LaneMoments)}))) {}

size_t OutputMoments::scratch_end() const {
  return offset_ + static_cast<size_t>(checked_multiply(checked_multiply(num_pieces_, num_blocks_),
                                                        int64_t{sizeof(LaneMoments)}));
}

LaneMoments& OutputMoments::piece(int64_t piece, int64_t block, const KernelArgs& args) const {
  return reinterpret_cast<LaneMoments*>(args.shared_scratch + offset_)[piece * num_blocks_ + block];
}

LaneMoments& OutputMoments::begin_piece(int64_t index, int64_t block,
                                        const KernelArgs& args) const {
  LaneMoments& moments = piece(index, block, args);
  moments = {};
  return moments;
}

void OutputMoments::sum_box(const TensorView& y, int64_t block, const Box3& box, Isa isa,
                            LaneMoments& all) {
  const auto row_moments = WM_PICK_ISA(isa, row_moments);
  const Extent3 size = box.extent();
  // Whole rows follow one another.
  const bool whole_rows = size.w == y.desc.extent.w;
  const int64_t rows = whole_rows ? 1 : size.h;
  for (int64_t d = box.begin.d; d < box.end.d; ++d) {
    for (int64_t h = box.begin.h; h < box.begin.h + rows; ++h) {
      row_moments(y.at<float>(0, block, d, h, box.begin.w), size.w * (whole_rows ? size.h : 1),
                  all);
    }
  }
}

void OutputMoments::fold(int64_t task, const KernelArgs& args) const {
  if (!wanted(args)) return;
  const TensorView& view = args.outputs[static_cast<size_t>(output_)].view;
  for (int64_t lane = 0; lane < 16; ++lane) {
    const int64_t channel = 16 * task + lane;
    Moments all;
    for (int64_t i = 0; channel < channels_ && i < num_pieces_; ++i) {
      const LaneMoments& part = piece(i, task, args);
      all.merge({part.count, part.mean[lane], part.m2[lane]});
    }
    write_moments(view, channel, all);
  }
}

void write_moments(const TensorView& moments, int64_t channel, const Moments& all) {
  moments.at<double>(0, MomentsRow::mean)[channel] = all.mean;
  moments.at<double>(0, MomentsRow::m2)[channel] = all.m2;
}

}  // namespace wholemount
