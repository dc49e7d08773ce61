#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "wholemount/graph/kernel.h"

namespace wholemount {

/// Bytes of memory, offset and length that direct I/O wants to be a multiple of.
constexpr int64_t kDiskUnit = 4096;

/// How a tensor is cut for windows: its planes along d (rows along h when d = 1) of one channel
/// block follow one another in the spill file as they do in memory.
struct SlabUnits {
  int64_t count = 0;   ///< planes or rows
  int64_t bytes = 0;   ///< of one
  int64_t blocks = 0;  ///< channel blocks of all samples
  /// Windows begin at multiples of this many planes, so that every transfer is aligned.
  int64_t grain = 1;
};

/// nullopt for tensors whose windows cannot be transferred directly: not blocked by channels, or
/// with channel blocks that are no multiple of kDiskUnit.
[[nodiscard]] std::optional<SlabUnits> slab_units(const TensorDesc& desc);

/// A streamed input or output of a kernel.
struct StreamedTensor {
  int operand = 0;
  bool output = false;
  TensorDesc desc;
};

/// Half-open run of planes.
struct Planes {
  int64_t begin = 0;
  int64_t end = 0;
  [[nodiscard]] int64_t count() const { return end - begin; }
};

/// Tasks that run together on one set of windows.
struct StreamGroup {
  int64_t first_task = 0;  ///< positions in StreamPhase::order
  int64_t last_task = 0;
  std::vector<Planes> windows;  ///< by streamed tensor; empty when it is not touched
};

struct StreamPhase {
  std::vector<int64_t> order;  ///< tasks, sorted by the planes they touch
  std::vector<StreamGroup> groups;
};

/// How a kernel runs window by window. Tasks are independent, so their order is free; a plane of an
/// output is in the window of one group only.
struct StreamCut {
  std::vector<StreamedTensor> tensors;
  std::vector<StreamPhase> phases;
  /// By streamed tensor: bytes of one window, and from one channel block to the next in it. There
  /// are two windows of each: one computed on, one in transfer.
  std::vector<size_t> window_bytes;
  std::vector<int64_t> window_block_bytes;
  int64_t read_bytes = 0;    ///< from disk, all phases; planes of two windows are read once
  int64_t write_bytes = 0;   ///< to disk
  int64_t num_requests = 0;  ///< reads and writes: one a channel block of a window
  int64_t kept_bytes = 0;    ///< copied from a window to the next
  int64_t num_groups = 0;    ///< of all phases
  double imbalance = 1;      ///< how much longer the tasks take because groups end together
};

/// Cuts the kernel's tasks into groups. nullopt where that is impossible or gains nothing: the
/// kernel is not streamable, a tensor has no units, or the windows would hold most of it.
[[nodiscard]] std::optional<StreamCut> cut_stream(const Kernel& kernel, int num_threads,
                                                  std::span<const StreamedTensor> tensors);

}  // namespace wholemount
