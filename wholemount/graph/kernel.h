#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "wholemount/tensor/tensor_view.h"

namespace wholemount {

/// What a task works on. Scratch is planned memory; its content on entry to phase 0 is undefined
/// (tests poison it with NaN).
struct KernelArgs {
  std::span<const InputView> inputs;
  std::span<const OutputView> outputs;
  std::byte* shared_scratch = nullptr;  ///< one per step, kept between its phases; 64-byte aligned
  std::byte* thread_scratch = nullptr;  ///< private to the running thread; 64-byte aligned
  /// Only for reference kernels in tests, else empty: for each input its float32 twin. The sign of
  /// a rectified value and the place of a maximum are then decided on the twin, so that a float64
  /// run follows the branches of a float32 run.
  std::span<const InputView> decisions;
};

/// One prepared implementation of an operator for fixed shapes; immutable and thread-safe.
///
/// Work is cut into phases with a barrier between them, each into independent numbered tasks. The
/// cut depends on shapes and instruction set only, never on the number of threads or the memory
/// budget; reductions combine their partial results in a fixed order. Hence the bits of the result
/// do not depend on threads. `run` is sequential, allocates nothing and throws nothing.
class Kernel {
 public:
  virtual ~Kernel() = default;
  /// e.g. "conv_forward_direct_avx512"; reference kernels end in "_reference".
  [[nodiscard]] virtual std::string name() const = 0;
  /// Why this implementation was chosen, for `plan -v`.
  [[nodiscard]] virtual std::string reason() const { return "only implementation"; }
  /// Arithmetic operations of the operator by its definition (2 per multiply-add).
  [[nodiscard]] virtual int64_t flops() const = 0;
  /// Bytes the operator must at least read and write.
  [[nodiscard]] virtual int64_t traffic_bytes() const = 0;
  [[nodiscard]] virtual size_t shared_scratch_bytes() const { return 0; }
  [[nodiscard]] virtual size_t thread_scratch_bytes() const { return 0; }
  [[nodiscard]] virtual int num_phases() const { return 1; }
  [[nodiscard]] virtual int64_t num_tasks(int phase) const = 0;
  virtual void run(int phase, int64_t task, const KernelArgs& args) const = 0;

  /// Whether input `input`, float32 when the kernel was prepared, may be given as bfloat16 of the
  /// same shape and layout (told by the view). It is then expanded where it is loaded, which is
  /// exact: the result has the bits of a run on an expanded copy. A fact about the implementation
  /// that was chosen, hence not a verb of Op.
  [[nodiscard]] virtual bool reads_bfloat16(int /*input*/) const { return false; }

  /// False when a task may need whole tensors (then the two boxes below are not asked for).
  [[nodiscard]] virtual bool streamable() const { return true; }
  /// The voxels of input `input` that this task reads, all channels; empty when none. Given windows
  /// that hold only the slab (planes along d, rows when d = 1) of these boxes, the task gives the
  /// same bits. Parameters, statistics and other small plain tensors are always whole.
  [[nodiscard]] virtual Box3 input_box(int phase, int64_t task, int input) const = 0;
  /// The voxels of output `output` that this task writes; empty when none (it fills scratch).
  [[nodiscard]] virtual Box3 output_box(int phase, int64_t task, int output) const = 0;
};

}  // namespace wholemount
