#pragma once

#include <array>
#include <memory>
#include <string>

#include "bench/kernels/case_string.h"
#include "wholemount/base/cpu.h"

namespace wholemount::bench {

enum class Pass : uint8_t { forward, data, weights };
inline constexpr std::array<const char*, 3> kPassNames{"forward", "data gradient",
                                                       "weight gradient"};

/// One pass of a layer, ready to run on its own memory.
class Contestant {
 public:
  virtual ~Contestant() = default;
  /// What runs, e.g. "conv_forward_winograd_f444_avx512" or "jit:avx512_core".
  [[nodiscard]] virtual std::string name() const = 0;
  virtual void run() = 0;
  /// run() with what a training step has to do besides, each time: weights brought from where an
  /// optimiser keeps them into the layout that run() takes, or their gradient brought back.
  virtual void run_with_reorder() { run(); }
};

/// Debian's oneDNN (2.6.3) on layouts of its own choice for every tensor; nothing is reordered
/// inside run(), and only the weights or their gradient, from or to the plain layout, inside
/// run_with_reorder(). Throws InternalError when it refuses the layer.
[[nodiscard]] std::unique_ptr<Contestant> make_onednn(const LayerCase& layer, Pass pass,
                                                      int threads);
/// Keeps oneDNN from instruction sets above `isa` (portable: SSE4.1). To be called before the first
/// make_onednn.
void limit_onednn(Isa isa);

}  // namespace wholemount::bench
