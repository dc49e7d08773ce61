#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "wholemount/base/cpu.h"
#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/plan/time_model.h"

namespace wholemount {

/// Measures this machine for the time model: the multiply-add peak, copy bandwidth, the cost of
/// starting a phase, and the costs of every kernel class by running training steps of small and
/// larger nets. Takes well under a minute; needs about 2 GiB (steps that would take more than half
/// of what is free are left out). The disk measured is that of `disk_folder` (1 to 4 GiB of
/// scratch space, see measure_disk_rates); where that cannot be used, the built-in guess stays.
[[nodiscard]] TimeModel calibrate(ThreadPool& pool, const Target& target,
                                  const std::string& disk_folder);

/// Where the calibration of this machine is kept: $XDG_CACHE_HOME or ~/.cache, then
/// wholemount/time-<instruction set>-<threads>threads.json.
[[nodiscard]] std::filesystem::path calibration_path(const Target& target, int num_threads);

/// Throws OutputError when the file cannot be written.
void save_time_model(const TimeModel& model, const std::filesystem::path& path);

/// nullopt when there is none, it is unreadable, or it was measured on another CPU model.
[[nodiscard]] std::optional<TimeModel> load_time_model(const std::filesystem::path& path);

/// The saved calibration for this machine, or the built-in guess.
[[nodiscard]] TimeModel current_time_model(const Target& target, int num_threads);

}  // namespace wholemount
