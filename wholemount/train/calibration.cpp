#include "wholemount/train/calibration.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/parallel/machine_rates.h"
#include "wholemount/base/rng.h"
#include "wholemount/exec/disk_rates.h"
#include "wholemount/exec/session.h"
#include "wholemount/nets/mcnn.h"
#include "wholemount/nets/unet3d.h"
#include "wholemount/plan/planner.h"
#include "wholemount/train/update_graph.h"

namespace wholemount {

namespace {

struct ClassTotal {
  double flops = 0;
  double bytes = 0;
  double seconds = 0;
};

struct CalibrationJob {
  Network network;
  SegmentationLossSpec loss;
  Extent3 extent;
};

/// Small steps of every net, so that each kernel a net can meet has a rate.
std::vector<CalibrationJob> calibration_jobs() {
  SegmentationLossSpec regions;
  regions.target = TargetKind::regions;
  regions.terms = {{LossName::dice, 1.0}, {LossName::bce, 1.0}};
  SegmentationLossSpec classes;
  classes.target = TargetKind::classes;
  classes.terms = {{LossName::ce, 1.0}};
  std::vector<CalibrationJob> jobs;
  UNet3dSpec net;
  net.filters = 16;
  net.levels = 4;
  jobs.push_back({unet3d_network(net), regions, {64, 96, 96}});
  net.filters = 32;
  net.in_channels = 4;
  net.out_channels = 3;
  net.norm = NormKind::batch;
  jobs.push_back({unet3d_network(net), regions, {32, 48, 48}});
  McnnSpec field;
  field.in_channels = 3;
  field.classes = 13;
  jobs.push_back({mcnn_network(field), classes, {1, 512, 640}});
  return jobs;
}

void measure_job(const CalibrationJob& job, ThreadPool& pool, const Target& target,
                 std::map<std::string, ClassTotal>& totals) {
  const UpdateGraph graph = build_update_graph(job.network, job.loss, std::array{job.extent});
  PlanSpec spec;
  spec.target = target;
  spec.num_threads = pool.num_threads();
  const auto program = plan(graph.graph, spec, default_time_model(pool.num_threads()));
  const GradientFold fold(1, 1);
  ParameterStore store(graph.graph->parameters, {fold.num_slots(), 0});
  store.initialise(1, pool);
  Session session(pool, store, program->arena_bytes);
  const TensorDesc& image_desc = graph.graph->value(graph.images.front()).desc;
  const PageBuffer image(image_desc.bytes());
  const PageBuffer labels(graph.graph->value(graph.targets.front()).desc.bytes());
  auto* voxels = reinterpret_cast<float*>(image.data());
  CounterRng rng(1, 0, 0, "calibrate");
  for (int64_t i = 0; i < image_desc.storage_elements(); ++i) {
    voxels[i] = rng.next_float() - 0.5F;
  }
  RunSpec run;
  run.inputs = {{graph.images.front(), image.data()}, {graph.targets.front(), labels.data()}};
  run.fold = &fold;
  session.run(*program, run);  // touches every page
  std::vector<double> best(program->steps.size(), 1e30);
  run.after_step = [&](size_t step, double seconds) { best[step] = std::min(best[step], seconds); };
  for (int round = 0; round < 3; ++round) {
    session.run(*program, run);
  }
  for (size_t step = 0; step < program->steps.size(); ++step) {
    const Kernel& kernel = *program->steps[step].kernel;
    ClassTotal& total = totals[kernel.name()];
    total.flops += static_cast<double>(kernel.flops());
    total.bytes += static_cast<double>(kernel.traffic_bytes());
    total.seconds += best[step];
  }
}

std::string machine_text(const Target& target, int num_threads) {
  return cpu_model() + ", " + std::string(isa_name(target.isa)) + ", " +
         std::to_string(num_threads) + " threads";
}

}  // namespace

TimeModel calibrate(ThreadPool& pool, const Target& target, const std::string& disk_folder) {
  TimeModel model = default_time_model(pool.num_threads());
  model.machine = machine_text(target, pool.num_threads());
  model.peak_flops_per_second = measure_peak_flops(pool, target.isa, 0.5);
  model.copy_bytes_per_second = measure_copy_bytes_per_second(pool, size_t{256} << 20);
  model.dispatch_seconds = measure_dispatch_seconds(pool);
  try {
    const DiskRates disk = measure_disk_rates(disk_folder, pool);
    model.disk_read_bytes_per_second = disk.read_bytes_per_second;
    model.disk_write_bytes_per_second = disk.write_bytes_per_second;
    model.disk_compute_share = disk.compute_share;
  } catch (const OutputError&) {
    // No disk to spill to: the guess is never used.
  }
  std::map<std::string, ClassTotal> totals;
  for (const CalibrationJob& job : calibration_jobs()) {
    measure_job(job, pool, target, totals);
  }
  // A class is limited by arithmetic when it does more operations per byte than the machine's
  // balance between half its peak and its bandwidth.
  const double balance = 0.25 * model.peak_flops_per_second / model.copy_bytes_per_second;
  for (const auto& [name, total] : totals) {
    if (total.bytes <= 0 || total.flops / total.bytes > balance) {
      model.flops_per_second[name] = total.flops / total.seconds;
    } else {
      model.bytes_per_second[name] = total.bytes / total.seconds;
    }
  }
  model.measured = true;
  return model;
}

std::filesystem::path calibration_path(const Target& target, int num_threads) {
  std::filesystem::path folder;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache != '\0') {
    folder = cache;
  } else if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    folder = std::filesystem::path(home) / ".cache";
  } else {
    folder = std::filesystem::temp_directory_path();
  }
  return folder / "wholemount" /
         ("time-" + std::string(isa_name(target.isa)) + "-" + std::to_string(num_threads) +
          "threads.json");
}

void save_time_model(const TimeModel& model, const std::filesystem::path& path) {
  nlohmann::ordered_json json;
  json["machine"] = model.machine;
  json["peak_flops_per_second"] = model.peak_flops_per_second;
  json["copy_bytes_per_second"] = model.copy_bytes_per_second;
  json["dispatch_seconds"] = model.dispatch_seconds;
  json["disk_read_bytes_per_second"] = model.disk_read_bytes_per_second;
  json["disk_write_bytes_per_second"] = model.disk_write_bytes_per_second;
  json["disk_compute_share"] = model.disk_compute_share;
  json["flops_per_second"] = model.flops_per_second;
  json["bytes_per_second"] = model.bytes_per_second;
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  write_file_atomically(path, json.dump(2) + "\n");
}

std::optional<TimeModel> load_time_model(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) {
    return std::nullopt;
  }
  try {
    const nlohmann::json json = nlohmann::json::parse(file);
    TimeModel model = default_time_model(1);
    json.at("machine").get_to(model.machine);
    json.at("peak_flops_per_second").get_to(model.peak_flops_per_second);
    json.at("copy_bytes_per_second").get_to(model.copy_bytes_per_second);
    json.at("dispatch_seconds").get_to(model.dispatch_seconds);
    model.disk_read_bytes_per_second =
        json.value("disk_read_bytes_per_second", model.disk_read_bytes_per_second);
    model.disk_write_bytes_per_second =
        json.value("disk_write_bytes_per_second", model.disk_write_bytes_per_second);
    model.disk_compute_share =
        std::clamp(json.value("disk_compute_share", model.disk_compute_share), 0.0, 0.9);
    json.at("flops_per_second").get_to(model.flops_per_second);
    json.at("bytes_per_second").get_to(model.bytes_per_second);
    if (model.machine.rfind(cpu_model() + ",", 0) != 0 || !(model.peak_flops_per_second > 0) ||
        !(model.copy_bytes_per_second > 0) || !(model.disk_read_bytes_per_second > 0) ||
        !(model.disk_write_bytes_per_second > 0)) {
      return std::nullopt;
    }
    model.measured = true;
    return model;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // a damaged cache is as good as none
  }
}

TimeModel current_time_model(const Target& target, int num_threads) {
  if (std::optional<TimeModel> model = load_time_model(calibration_path(target, num_threads))) {
    return *model;
  }
  return default_time_model(num_threads);
}

}  // namespace wholemount
