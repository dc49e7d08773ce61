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
    json["flops_per_second"] = model.flops_per_second;
    json["bytes_per_second"] = model.bytes_per_second;
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
  for (const auto& [name, rate] : model.flops_per_second) {
    std::printf("%-44s %8.1f GFLOPS  %5.1f %% of peak\n", name.c_str(), rate / 1e9,
                100.0 * rate / model.peak_flops_per_second);
  }
  for (const auto& [name, rate] : model.bytes_per_second) {
    std::printf("%-44s %8.1f GB/s    %5.1f %% of copy\n", name.c_str(), rate / 1e9,
                100.0 * rate / model.copy_bytes_per_second);
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
