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

struct CalibrationJob {
  Network network;
  SegmentationLossSpec loss;
  Extent3 extent;
};

UNet3dSpec unet(int64_t filters, int64_t channels, int64_t outputs, NormKind norm) {
  UNet3dSpec net;
  net.filters = filters;
  net.levels = 5;
  net.in_channels = channels;
  net.out_channels = outputs;
  net.norm = norm;
  return net;
}

/// Steps of every net, small and large, narrow and wide: each kernel a net can meet is seen at work
/// that fits the caches and at work that does not, with few weights and with many.
std::vector<CalibrationJob> calibration_jobs() {
  SegmentationLossSpec regions;
  regions.target = TargetKind::regions;
  regions.terms = {{LossName::dice, 1.0}, {LossName::bce, 1.0}};
  SegmentationLossSpec classes;
  classes.target = TargetKind::classes;
  classes.terms = {{LossName::ce, 1.0}};
  std::vector<CalibrationJob> jobs;
  jobs.push_back({unet3d_network(unet(16, 1, 1, NormKind::instance)), regions, {48, 48, 48}});
  jobs.push_back({unet3d_network(unet(16, 1, 1, NormKind::instance)), regions, {96, 96, 96}});
  jobs.push_back({unet3d_network(unet(32, 4, 3, NormKind::batch)), regions, {48, 64, 48}});
  UNet3dSpec upsampling = unet(16, 2, 3, NormKind::group);
  upsampling.decoder = UNet3dSpec::Decoder::upsample;
  jobs.push_back({unet3d_network(upsampling), classes, {32, 64, 64}});
  McnnSpec field;
  field.in_channels = 3;
  field.classes = 13;
  jobs.push_back({mcnn_network(field), classes, {1, 512, 640}});
  jobs.push_back({mcnn_network(field), classes, {1, 1024, 1280}});
  jobs.push_back({unet3d_network(unet(64, 1, 1, NormKind::instance)), regions, {48, 48, 48}});
  jobs.push_back({unet3d_network(unet(16, 1, 1, NormKind::instance)), regions, {80, 160, 160}});
  return jobs;
}

using Samples = std::map<std::string, std::vector<CostSample>>;

/// Bytes a job's step takes; more than half of what is free is left to the guess of wider nets.
bool fits(const Program& program, const UpdateGraph& graph) {
  size_t bytes = program.arena_bytes;
  for (const ParameterSpec& parameter : graph.graph->parameters) {
    bytes += 2 * parameter.desc.bytes();
  }
  return bytes < available_memory_bytes() / 2;
}

void measure_job(const CalibrationJob& job, ThreadPool& pool, const Target& target,
                 Samples& samples) {
  const UpdateGraph graph = build_update_graph(job.network, job.loss, std::array{job.extent});
  PlanSpec spec;
  spec.target = target;
  spec.num_threads = pool.num_threads();
  const auto program = plan(graph.graph, spec, default_time_model(pool.num_threads()));
  if (!fits(*program, graph)) return;
  const GradientFold fold(1, 1);
  ParameterStore store(graph.graph->parameters, {fold.num_slots(), 0, fold.batch()});
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
  constexpr size_t kRounds = 3;
  std::vector<std::array<double, kRounds>> seconds(program->steps.size());
  size_t round = 0;
  run.after_step = [&](size_t step, double taken) { seconds[step][round] = taken; };
  for (; round < kRounds; ++round) session.run(*program, run);
  for (size_t step = 0; step < program->steps.size(); ++step) {
    const Kernel& kernel = *program->steps[step].kernel;
    std::sort(seconds[step].begin(), seconds[step].end());
    const double median = seconds[step][kRounds / 2];
    if (median > 0) samples[kernel.name()].push_back({work_of(kernel), median});
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
    model.disk_request_seconds = disk.request_seconds;
    model.disk_compute_share = disk.compute_share;
  } catch (const OutputError&) {
    // No disk to spill to: the guess is never used.
  }
  Samples samples;
  for (const CalibrationJob& job : calibration_jobs()) {
    measure_job(job, pool, target, samples);
  }
  for (const auto& [name, of_class] : samples) {
    model.kernel_costs[name] = fit_kernel_cost(of_class);
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
  json["disk_request_seconds"] = model.disk_request_seconds;
  json["disk_compute_share"] = model.disk_compute_share;
  for (const auto& [name, cost] : model.kernel_costs) {
    json["kernel_costs"][name] = {cost.per_flop, cost.per_byte, cost.per_shared_byte,
                                  cost.per_phase};
  }
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
    model.disk_request_seconds =
        std::max(json.value("disk_request_seconds", model.disk_request_seconds), 0.0);
    model.disk_compute_share =
        std::clamp(json.value("disk_compute_share", model.disk_compute_share), 0.0, 0.9);
    for (const auto& [name, terms] : json.at("kernel_costs").items()) {
      const auto cost = terms.get<std::array<double, 4>>();
      if (*std::min_element(cost.begin(), cost.end()) < 0) return std::nullopt;
      model.kernel_costs[name] = {cost[0], cost[1], cost[2], cost[3]};
    }
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
