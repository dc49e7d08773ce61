#include "wholemount/ops/conv/winograd_weights.h"

#include "wholemount/ops/conv/correlation_kernel.h"
#include "wholemount/ops/conv/inner/columns.h"
#include "wholemount/ops/conv/inner/winograd_transform.h"

namespace wholemount {

void transform_lane_weights(const CorrelationProblem& problem, const KernelArgs& args,
                            WinogradTile tile, Isa isa, const ChannelBlock& source, int64_t lane,
                            const ChannelBlock& destination, float* taps, float* out,
                            int64_t frequency_pitch) {
  const auto* weights =
      args.inputs[static_cast<size_t>(problem.weights_input)].view.at<float>(0, 0);
  const int64_t stride = problem.destination_weight_stride();
  const int64_t num_taps = volume(problem.geometry.kernel);
  const float* first = weights + (source.channel + lane) * problem.source_weight_stride() +
                       destination.channel * stride;
  const auto gather = WM_PICK_ISA(isa, gather_columns);
  const auto filter = WM_PICK_ISA(isa, winograd_filter);
  float* first_tap = problem.adjoint ? taps + (num_taps - 1) * 16 : taps;
  gather({first, stride, destination.lanes, num_taps, first_tap, problem.adjoint ? -16 : 16});
  filter(tile, taps, out, frequency_pitch);
}

}  // namespace wholemount
