#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wholemount/plan/kernel_choice.h"
#include "wholemount/tensor/extent3.h"
#include "wholemount/train/optimiser.h"
#include "wholemount/train/schedule.h"

namespace wholemount {

// The configuration of a run, as the TOML of docs/configuration describes it. Each field is one key
// of the same name (`DataConfig::root` is data.root); meaning, type and default of all keys are in
// config_keys(), which the documentation is generated from.

/// How the cases of a data set are divided (data.split).
struct SplitConfig {
  int64_t seed = 816;
  double train = 0.85;
  double validation = 0.075;
  double test = 0.075;
  std::string by = "case";
  std::optional<int64_t> folds;
  int64_t fold = 0;
  std::string hold_out;
  friend bool operator==(const SplitConfig&, const SplitConfig&) = default;
};

/// Table [data].
struct DataConfig {
  std::string root;  ///< as written: relative to the current folder
  std::string layout = "auto";
  std::vector<std::string> channels;             ///< empty: all
  std::vector<std::string> target = {"labels"};  ///< {"labels"}: all classes; else named regions
  std::optional<Extent3> shape;                  ///< none: "full"
  std::string normalise = "zscore-nonzero";
  bool illumination = false;
  std::string control = "DMSO";
  SplitConfig split;
  std::vector<std::string> augment;
  std::string copies = "none";
  bool balance = false;
  std::optional<int64_t> control_wells = 119;
  bool all_taxol = false;
  friend bool operator==(const DataConfig&, const DataConfig&) = default;
};

enum class NetKind : uint8_t { unet3d, mcnn };
enum class NetNorm : uint8_t { none, batch, instance, group };
enum class NormOver : uint8_t { update, micro_batch };
enum class DecoderKind : uint8_t { transposed, upsample };

/// Table [net]: what the network is, apart from what the data decide (channels, classes).
struct NetConfig {
  NetKind kind = NetKind::unet3d;
  int64_t filters = 16;
  int64_t levels = 5;
  NetNorm norm = NetNorm::instance;
  int64_t groups = 8;                     ///< norm = "group"
  NormOver norm_over = NormOver::update;  ///< norm = "batch"
  double norm_momentum = 0.99;            ///< norm = "batch": m of the moving statistics
  double norm_epsilon = 1e-5;
  DecoderKind decoder = DecoderKind::transposed;
  double slope = 0.0;   ///< of the activation below zero; 0: ReLU
  bool fc_relu = true;  ///< mcnn: ReLU between the two linear layers
  friend bool operator==(const NetConfig&, const NetConfig&) = default;
};

/// One term of the loss; the loss is the sum of weight * term.
struct LossTermConfig {
  std::string name;  ///< "dice", "log-dice", "bce", "ce"
  double weight = 1.0;
  bool pooled = false;                        ///< dice: sums over the batch, then one ratio
  std::array<double, 2> smooth = {1.0, 1.0};  ///< dice: added to numerator and denominator
  double label_smoothing = 0.0;               ///< ce
  friend bool operator==(const LossTermConfig&, const LossTermConfig&) = default;
};

/// A metric to reach (train.target); ends the clock of time-to-train.
struct TargetConfig {
  std::string metric;
  double value = 0.0;
  friend bool operator==(const TargetConfig&, const TargetConfig&) = default;
};

/// Table [train].
struct TrainConfig {
  int64_t epochs = 25;
  int64_t batch = 16;
  std::optional<int64_t> micro_batch;  ///< none: "auto"
  int64_t sum_groups = 8;
  /// Empty ("auto"): dice + ce when data.target is "labels", dice + bce when it names regions,
  /// both with weight 0.5; resolved where the data set is known.
  std::vector<LossTermConfig> loss;
  OptimiserSpec optimizer;
  std::optional<double> clip_norm;
  ScheduleSpec schedule;
  int64_t seed = 1;
  int64_t evaluate_every = 1;
  int64_t checkpoint_every = 1;
  std::optional<int64_t> steps_per_epoch;
  KernelChoice kernels = KernelChoice::best;
  std::optional<TargetConfig> target;
  friend bool operator==(const TrainConfig&, const TrainConfig&) = default;
};

/// Table [memory].
struct MemoryConfig {
  std::optional<std::string> budget;  ///< as written, e.g. "8G"; none: what is free
  bool half = false;
  std::optional<std::string> spill;  ///< folder; none: never
  /// budget in bytes (parse_bytes).
  [[nodiscard]] std::optional<size_t> budget_bytes() const;
  friend bool operator==(const MemoryConfig&, const MemoryConfig&) = default;
};

struct RunConfig {
  DataConfig data;
  NetConfig net;
  TrainConfig train;
  MemoryConfig memory;
  friend bool operator==(const RunConfig&, const RunConfig&) = default;
};

/// Reads a TOML file and applies overrides "a.b=value", in order. The value is TOML; a plain word
/// (net.norm=batch, memory.budget=8G) is taken as text. Throws FileError when the file cannot be
/// read, ConfigError for malformed TOML, unknown keys, wrong types and values out of range, naming
/// file, line, key and what is known.
[[nodiscard]] RunConfig read_config(const std::string& path,
                                    const std::vector<std::string>& overrides = {});

/// The same for a text; `source` stands for the file's name in messages.
[[nodiscard]] RunConfig parse_config(const std::string& text, const std::string& source,
                                     const std::vector<std::string>& overrides = {});

/// The resolved configuration as TOML: every key that has a value, in a fixed order. Reading it
/// gives an equal RunConfig.
[[nodiscard]] std::string to_toml(const RunConfig& config);

/// SHA-256 (hex) of what decides the result of a run: the resolved TOML without keys that never
/// change the bits (see ConfigKey::changes_result). Two runs that differ only in budget, spill
/// folder, micro-batch, epochs or how often they evaluate are the same run. Exceptions:
/// train.micro_batch counts when norm_over = "micro_batch" with batch norm, train.evaluate_every
/// when the schedule is "plateau", train.epochs when it is "poly" or "warmup-poly".
[[nodiscard]] std::string config_digest(const RunConfig& config);

/// What differs in the sense of config_digest, for messages: "train.batch: 16 -> 8".
[[nodiscard]] std::vector<std::string> config_differences(const RunConfig& from,
                                                          const RunConfig& to);

/// One key, for documentation and completion.
struct ConfigKey {
  std::string name;           ///< "train.schedule.power"
  std::string type;           ///< "integer >= 1", "one of ..."
  std::string default_value;  ///< TOML; empty: none
  std::string meaning;
  bool changes_result = true;  ///< always part of config_digest
};

/// All keys, in the order of the resolved file.
[[nodiscard]] std::vector<ConfigKey> config_keys();

}  // namespace wholemount
