#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/exec/parameter_store.h"

namespace wholemount {

/// Everything of a training run that is not a tensor. There is no RNG state: every draw is a
/// function of (seed, epoch, case, purpose).
struct CheckpointState {
  int64_t step = 0;   ///< updates done
  int64_t epoch = 0;  ///< epochs completed
  /// History the schedule is a function of, oldest first; NaN where undefined.
  std::vector<double> validation_losses;
  std::optional<double> best_metric;  ///< none before the first evaluation
  int64_t best_epoch = 0;
  double seconds = 0.0;       ///< wall time spent training so far, over all resumptions
  std::string config_digest;  ///< config_digest() of the run
  std::string data_digest;    ///< of the cases and the split
  std::string net_spec;       ///< text that says which net this is; equal text, equal net

  friend bool operator==(const CheckpointState&, const CheckpointState&) = default;
};

/// What load_checkpoint found.
struct LoadedCheckpoint {
  CheckpointState state;
  std::filesystem::path path;  ///< the generation that was used
  /// Empty when the newest generation was intact; else says which was damaged, how, and which was
  /// used in its place. To be shown to the user.
  std::string warning;
};

// File format, version 1 ("checkpoint-<step, 12 digits>.wmck"), little endian:
//
//   bytes 0-7    "WMCKPT01"
//   bytes 8-15   H, length of the header
//   bytes 16-79  SHA-256 of the header, 64 hexadecimal digits
//   then         H bytes of JSON: {"version": 1, "state": {step, epoch, ...}, "parameters":
//                [{"name", "shape": [n, c, d, h, w], "offset", "count"}, ...],
//                "blocks": [{"name": "values" | "optimiser_state_<i>", "bytes", "sha256"}, ...]};
//                offset and count are in float32 elements within each block
//   then         the blocks in the header's order, each beginning at the next multiple of 64 bytes
//                (zeros between); the file ends with the last block.
//
// Gradients are not stored: a checkpoint stands between two updates.

/// Writes a checkpoint into `folder` (made when missing) and keeps two generations: this one and
/// the newest of an earlier step. Atomic: whatever happens, a complete earlier generation stays.
/// Throws OutputError. Memory: the header only; blocks are written from the store.
void save_checkpoint(const std::filesystem::path& folder, const CheckpointState& state,
                     const ParameterStore& store);

/// True when `folder` holds a checkpoint file, damaged or not.
[[nodiscard]] bool has_checkpoint(const std::filesystem::path& folder);

/// Fills values and optimiser state of `store` from the newest intact generation; parameters are
/// matched by name. Every byte is checked against its SHA-256 before the store is changed.
/// Throws FileError when there is none or all are damaged (truncated, checksum, version), and
/// ConfigError when the checkpoint is of another net (`net_spec`, names, shapes) or of an optimiser
/// with other state.
/// Reads the file twice; memory: the header only.
LoadedCheckpoint load_checkpoint(const std::filesystem::path& folder, const std::string& net_spec,
                                 ParameterStore& store);

/// The state alone, of the newest generation whose header is intact (blocks are not checked).
/// Throws FileError as load_checkpoint does.
[[nodiscard]] CheckpointState read_checkpoint_state(const std::filesystem::path& folder);

}  // namespace wholemount
