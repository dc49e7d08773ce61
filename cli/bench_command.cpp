#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/bench_planner.h"
#include "cli/job_options.h"
#include "wholemount/base/atomic_file.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/parallel/machine_rates.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/job_from_data.h"
#include "wholemount/train/job_plan.h"
#include "wholemount/train/step_bench.h"

namespace wholemount::cli {

namespace {

struct BenchStepOptions {
  CommonOptions common;
  ConfigOptions config;
  int rounds = 5;
  std::string timeline;  ///< file; empty: none
};

void run_bench_step(const BenchStepOptions& options) {
  if (options.rounds < 1) {
    throw ConfigError("--rounds " + std::to_string(options.rounds) + ": wanted at least 1");
  }
  const RunConfig config = cli::read_config(options.config, options.common);
  const int threads = thread_count(options.common);
  const JobSpec job = job_from_data_or_shape(config);
  const PlanSpec spec = plan_spec_from_config(config, threads);
  const TimeModel time = current_time_model(spec.target, threads);
  JobPrograms programs(job, spec, time);
  const JobPlan plan =
      plan_job(job, programs, threads, memory_budget_bytes(config, options.config.memory));
  check_budget(plan);
  ThreadPool pool(threads);
  const StepBench bench = bench_step(job, plan, programs, pool, options.rounds);
  if (!options.timeline.empty()) {
    write_file_atomically(options.timeline, bench.timeline.trace);
  }
  // One program holds some of the update's samples; the update takes as many as it needs.
  const double programs_per_update =
      static_cast<double>(update_batch(job)) / static_cast<double>(samples_per_program(job));
  const double step_seconds = bench.median_seconds * programs_per_update + bench.finish_seconds;
  // What is measured: the gradient, without what the optimiser does with it.
  const double predicted_seconds = plan.step_seconds - plan.update_seconds + plan.finish_seconds;
  const double gflops = static_cast<double>(plan.step_flops) / step_seconds / 1e9;
  if (options.common.json) {
    nlohmann::ordered_json json;
    json["step_seconds"] = step_seconds;
    json["finish_seconds"] = bench.finish_seconds;
    json["forward_seconds"] = bench.forward_seconds * programs_per_update;
    json["peak_bytes"] = bench.peak_bytes;
    json["predicted_peak_bytes"] = plan.memory.peak_bytes();
    json["predicted_step_seconds"] = predicted_seconds;
    json["step_flops"] = plan.step_flops;
    json["gflops"] = gflops;
    json["machine_peak_gflops"] = bench.peak_flops / 1e9;
    json["rounds_seconds"] = bench.step_seconds;
    json["idle_share"] = bench.timeline.idle_share();
    json["copy_bytes_per_second"] = measure_copy_bytes_per_second(pool, size_t{256} << 20);
    for (const KernelTime& kernel : bench.kernels) {
      json["kernels"].push_back({{"kernel", kernel.kernel},
                                 {"nodes", kernel.count},
                                 {"seconds", kernel.seconds},
                                 {"flops", kernel.flops},
                                 {"bytes", kernel.bytes}});
    }
    for (const NodeTime& node : bench.nodes) {
      json["nodes"].push_back({{"node", node.node},
                               {"kernel", node.kernel},
                               {"seconds", node.seconds},
                               {"predicted_seconds", node.predicted_seconds},
                               {"flops", node.flops},
                               {"bytes", node.bytes}});
    }
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf(
      "update of %lld x %s: %s (predicted %s), forward %s, %.1f GFLOPS effective, %.0f %% of "
      "the %.1f GFLOPS peak, %s peak\n\n",
      static_cast<long long>(update_batch(job)), to_string(plan.largest.front()).c_str(),
      format_duration(step_seconds).c_str(), format_duration(predicted_seconds).c_str(),
      format_duration(bench.forward_seconds * programs_per_update).c_str(), gflops,
      100.0 * gflops * 1e9 / bench.peak_flops, bench.peak_flops / 1e9,
      format_bytes(bench.peak_bytes).c_str());
  std::printf("threads idle %.1f %% of a step\n\n", 100.0 * bench.timeline.idle_share());
  std::printf("%-40s %6s %10s %8s %10s %10s\n", "kernel", "nodes", "ms", "share", "GFLOPS", "GB/s");
  for (const KernelTime& kernel : bench.kernels) {
    std::printf("%-40s %6lld %10.2f %7.1f%% %10.1f %10.2f\n", kernel.kernel.c_str(),
                static_cast<long long>(kernel.count), kernel.seconds * 1e3,
                100.0 * kernel.seconds / bench.median_seconds, kernel.flops / kernel.seconds / 1e9,
                kernel.bytes / kernel.seconds / 1e9);
  }
}

}  // namespace

void add_bench_command(CLI::App& app) {
  CLI::App* bench = app.add_subcommand("bench", "measure time, bytes and arithmetic");
  bench->require_subcommand(1);
  add_bench_planner_command(*bench);
  CLI::App* step = bench->add_subcommand(
      "step", "one training update of a configuration on synthetic data of its largest shape");
  auto options = std::make_shared<BenchStepOptions>();
  add_config_options(*step, options->config);
  add_common_options(*step, options->common);
  step->add_option("--rounds", options->rounds, "measured rounds after one warm-up (default 5)");
  step->add_option("--timeline", options->timeline,
                   "file for every task of one step in the Trace Event Format (Perfetto)");
  step->footer("Example:\n  wholemount bench step examples/unet_whole_volume.toml --json");
  step->callback([options] { run_bench_step(*options); });
}

}  // namespace wholemount::cli
