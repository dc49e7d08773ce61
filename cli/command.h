#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace wholemount::cli {

/// Options every command has.
struct CommonOptions {
  bool json = false;             ///< one JSON object on stdout
  int threads = 0;               ///< 0: as many as the process may use
  std::optional<uint64_t> seed;  ///< overrides the configuration's
};

/// Adds --json, --threads and --seed.
void add_common_options(CLI::App& command, CommonOptions& options);

/// Options of commands that read a configuration.
struct ConfigOptions {
  std::string path;
  std::vector<std::string> overrides;  ///< "a.b=value"
  std::string memory;                  ///< budget as typed; empty: the configuration's
  std::string kernels;                 ///< short for train.kernels; empty: the configuration's
};

void add_config_options(CLI::App& command, ConfigOptions& options);

/// The number of threads asked for, or usable_cpus(). Throws ConfigError for a negative number.
[[nodiscard]] int thread_count(const CommonOptions& options);

// One function per command: declares it and what to call when it is used.
void add_info_command(CLI::App& app);
void add_augment_command(CLI::App& app);
void add_synth_command(CLI::App& app);
void add_plan_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_predict_command(CLI::App& app);
void add_evaluate_command(CLI::App& app);
void add_calibrate_command(CLI::App& app);
void add_config_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_report_command(CLI::App& app);

}  // namespace wholemount::cli
