#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command.h"
#include "wholemount/base/clock.h"
#include "wholemount/train/calibration.h"

namespace wholemount::cli {

namespace {

struct CalibrateOptions {
  CommonOptions common;
  std::string disk = ".";
};

std::string rate(double seconds_per_unit, const char* unit) {
  return seconds_per_unit > 0 ? fmt::format("{:.1f} {}", 1e-9 / seconds_per_unit, unit) : "-";
}

void run_calibrate(const CalibrateOptions& all) {
  const CommonOptions& options = all.common;
  const int threads = thread_count(options);
  const Target target;
  ThreadPool pool(threads);
  const double begin = monotonic_seconds();
  const TimeModel model = calibrate(pool, target, all.disk);
  const auto path = calibration_path(target, threads);
  save_time_model(model, path);
  const double seconds = monotonic_seconds() - begin;
  if (options.json) {
    nlohmann::ordered_json json;
    json["machine"] = model.machine;
    json["peak_gflops"] = model.peak_flops_per_second / 1e9;
    json["copy_gbytes_per_second"] = model.copy_bytes_per_second / 1e9;
    json["dispatch_microseconds"] = model.dispatch_seconds * 1e6;
    json["disk_read_gbytes_per_second"] = model.disk_read_bytes_per_second / 1e9;
    json["disk_write_gbytes_per_second"] = model.disk_write_bytes_per_second / 1e9;
    json["disk_compute_share"] = model.disk_compute_share;
    for (const auto& [name, cost] : model.kernel_costs) {
      json["kernel_costs"][name] = {{"seconds_per_flop", cost.per_flop},
                                    {"seconds_per_byte", cost.per_byte},
                                    {"seconds_per_shared_byte", cost.per_shared_byte},
                                    {"seconds_per_phase", cost.per_phase}};
    }
    json["file"] = path.string();
    json["seconds"] = seconds;
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("machine    %s\n", model.machine.c_str());
  std::printf("peak       %.1f GFLOPS (multiply-add, float32)\n",
              model.peak_flops_per_second / 1e9);
  std::printf("copy       %.1f GB/s (read + written)\n", model.copy_bytes_per_second / 1e9);
  std::printf("dispatch   %.1f us a phase\n", model.dispatch_seconds * 1e6);
  std::printf(
      "disk       %.2f GB/s read, %.2f GB/s written (direct, while computing, which meanwhile runs "
      "%.0f %% slower; %s)\n\n",
      model.disk_read_bytes_per_second / 1e9, model.disk_write_bytes_per_second / 1e9,
      100.0 * model.disk_compute_share, all.disk.c_str());
  std::printf("%-44s %12s %12s %12s %10s\n", "a kernel's time is the sum of", "operations",
              "traffic", "its scratch", "phases");
  for (const auto& [name, cost] : model.kernel_costs) {
    std::printf("%-44s %12s %12s %12s %10s\n", name.c_str(), rate(cost.per_flop, "GFLOPS").c_str(),
                rate(cost.per_byte, "GB/s").c_str(), rate(cost.per_shared_byte, "GB/s").c_str(),
                cost.per_phase > 0 ? fmt::format("{:.1f} us", cost.per_phase * 1e6).c_str() : "-");
  }
  std::printf("\nsaved to %s (%.1f s)\n", path.c_str(), seconds);
}

}  // namespace

void add_calibrate_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("calibrate", "measure this machine for the time model (cached)");
  auto options = std::make_shared<CalibrateOptions>();
  add_common_options(*command, options->common);
  command->add_option("--disk", options->disk,
                      "folder on the disk values would be spilled to (default: here)");
  command->footer(
      "Examples:\n  wholemount calibrate --threads 2\n  wholemount calibrate --disk /scratch");
  command->callback([options] { run_calibrate(*options); });
}

}  // namespace wholemount::cli
