#pragma once

#include <cstdint>

#include "wholemount/base/cpu.h"
#include "wholemount/graph/kernel.h"
#include "wholemount/ops/conv/channel_blocks.h"
#include "wholemount/ops/conv/winograd_shape.h"

namespace wholemount {

struct CorrelationProblem;

/// The weights of one source channel, lane `lane` of `source`, for the sixteen lanes of
/// `destination`, read from where the parameters lie (the adjoint takes the kernel backwards) and
/// transformed (G g G^T): frequency f goes to out + f * frequency_pitch, sixteen floats, zero in
/// lanes without a channel. `taps`: scratch of 16 floats a tap.
void transform_lane_weights(const CorrelationProblem& problem, const KernelArgs& args,
                            WinogradTile tile, Isa isa, const ChannelBlock& source, int64_t lane,
                            const ChannelBlock& destination, float* taps, float* out,
                            int64_t frequency_pitch);

}  // namespace wholemount
