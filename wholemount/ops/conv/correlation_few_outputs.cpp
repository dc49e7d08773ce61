#include "wholemount/ops/conv/correlation_scratch.h"
#include "wholemount/ops/conv/inner/few_outputs.h"

namespace wholemount {

void CorrelationKernel::pack_few_weights(const Group& group, const ChannelBlock& source,
                                         int64_t source_index, const KernelArgs& args) const {
  const auto num_sources = static_cast<int64_t>(source_blocks_.size());
  const int64_t channels = few_channels(group);
  const int64_t first_channel = destination_blocks_[group.first_block].channel;
  const int64_t source_stride = problem_.source_weight_stride();
  const int64_t destination_stride = problem_.destination_weight_stride();
  const auto* weights =
      args.inputs[static_cast<size_t>(problem_.weights_input)].view.at<float>(0, 0) +
      source.channel * source_stride + first_channel * destination_stride;
  float* packed = reinterpret_cast<float*>(args.shared_scratch) + group.weights_offset;
  for (const Class& one : classes_) {
    const auto taps = static_cast<int64_t>(one.taps.size());
    float* out = packed + (one.taps_before * num_sources + source_index * taps) * channels * 16;
    for (const Tap& tap : one.taps) {
      for (int64_t c = 0; c < channels; ++c) {
        for (int64_t lane = 0; lane < 16; ++lane) {
          *out++ = lane < source.lanes
                       ? weights[lane * source_stride + c * destination_stride + tap.index]
                       : 0.0F;
        }
      }
    }
  }
}

void CorrelationKernel::build_lines() {
  const CorrelationGeometry& g = problem_.geometry;
  const auto is_few = [](const Group& group) { return group.few; };
  const bool runs = std::all_of(classes_.begin(), classes_.end(),
                                [](const Class& one) { return one.tap_run == 3; });
  if (!runs || std::none_of(groups_.begin(), groups_.end(), is_few) ||
      !WM_PICK_ISA(isa_, few_outputs_takes_lines)()) {
    return;
  }
  lines_ = SourceLines(g, box_.h, box_.w, source_blocks_.size());
  in_place_ = SourceLines::can_be_in_place(g) && box_.w >= kFewOutputsSlack &&
              std::all_of(groups_.begin(), groups_.end(), is_few);
  for (Class& one : classes_) {
    for (size_t tap = 0; tap < one.taps.size(); tap += 3) {
      one.run_lines.push_back(lines_.line(g, one.taps[tap].od, one.taps[tap].oh));
    }
  }
}

bool CorrelationKernel::reads_in_place(const Task& task, const KernelArgs& args) const {
  if (!in_place_ || task.box.end.w - task.box.begin.w < kFewOutputsSlack) return false;
  const auto tensors =
      args.inputs.subspan(static_cast<size_t>(problem_.first_source), problem_.sources.size());
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const InputView& input) { return input.transform.identity(); });
}

void CorrelationKernel::correlate_few(const Task& task, const Group& group, const Class& one,
                                      int64_t jd, const Scratch& scratch, LinesAhead* ahead,
                                      const KernelArgs& args) const {
  const CorrelationGeometry& g = problem_.geometry;
  const ChannelBlock& block = destination_blocks_[group.first_block];
  const TensorView& view = args.outputs[static_cast<size_t>(block.tensor)].view;
  if (view.origin == nullptr) return;
  const float* bias =
      problem_.bias_input < 0
          ? nullptr
          : args.inputs[static_cast<size_t>(problem_.bias_input)].view.at<float>(0, 0);
  for (int32_t c = 0; c < block.lanes; ++c) {
    scratch.bias[c] = bias != nullptr ? bias[block.channel + c] : 0.0F;
  }
  FewOutputsPlane plane{};
  if (lines_.size() > 0) {
    plane.lines = scratch.lines;
    plane.block_lines = lines_.block_lines();
    plane.run_lines = one.run_lines.data();
    plane.line_step = g.h.source_step;
    plane.line_voxel = one.taps.front().ow - g.w.min_offset;
    const int64_t first = task.box.begin.w + g.w.min_offset;
    const bool in_place = reads_in_place(task, args);
    plane.first_outside = in_place && first < 0;
    plane.last_outside =
        in_place && task.box.end.w - 1 + g.w.max_offset >= problem_.geometry.w.source_extent;
  }
  plane.sources = scratch.ring;
  plane.num_blocks = static_cast<int32_t>(source_blocks_.size());
  plane.tap_offsets = scratch.tap_offsets;
  plane.num_taps = static_cast<int32_t>(one.taps.size());
  plane.channels = block.lanes;
  plane.weights = reinterpret_cast<const float*>(args.shared_scratch) + group.weights_offset +
                  one.taps_before * plane.num_blocks * plane.channels * 16;
  plane.bias = scratch.bias;
  plane.out = view.at<float>(task.n, 0, one.start.d + jd * g.d.destination_step,
                             one.start.h + task.box.begin.h * g.h.destination_step,
                             one.start.w + task.box.begin.w * g.w.destination_step);
  plane.out_row_pitch = view.row_pitch * g.h.destination_step;
  plane.out_voxel_step = g.w.destination_step;
  plane.out_channel_pitch = view.block_pitch;
  plane.row_pitch = ring_.columns();
  plane.rows = std::min(task.box.end.h, one.count.h) - task.box.begin.h;
  plane.columns = std::min(task.box.end.w, one.count.w) - task.box.begin.w;
  plane.ahead = ahead;
  WM_PICK_ISA(isa_, correlate_few_outputs)(plane);
}

}  // namespace wholemount
