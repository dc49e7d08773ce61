#include "cli/bench_planner.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/job_options.h"
#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/job_from_data.h"
#include "wholemount/train/job_plan.h"

namespace wholemount::cli {

namespace {

/// A job as changes of the configuration, planned under several budgets.
struct PlannerCase {
  std::string name;
  std::vector<std::string> overrides;
  std::vector<std::string> budgets;
};

std::vector<PlannerCase> planner_cases() {
  const std::string whole = "data.shape=[144,240,240]";
  return {
      {"f16", {"net.filters=16", whole}, {"20G", "3500M", "2500M", "1500M", "1G", "600M", "1M"}},
      {"f32", {"net.filters=32", whole}, {"20G", "6G", "3G", "1500M"}},
      {"f64", {"net.filters=64", whole}, {"40G", "20G", "8G", "4G"}},
      {"f64 batch 16", {"net.filters=64", "train.batch=16", whole}, {"20G", "8G"}},
      {"f16 batch 4 norm over update",
       {"net.filters=16", "net.norm=batch", "net.norm_over=update", "train.batch=4", whole},
       {"20G", "8G", "4G", "2G", "1M"}},
      {"f16 batch 16 norm over update",
       {"net.filters=16", "net.norm=batch", "net.norm_over=update", "train.batch=16", whole},
       {"80G", "8G"}},
      {"f16 batch 4 pooled loss",
       {"net.filters=16", "train.batch=4", "train.loss=[{name=\"dice\",pooled=true}]", whole},
       {"20G", "4G"}},
      {"f16 96", {"net.filters=16", "data.shape=[96,96,96]"}, {"20G", "400M", "200M", "1M"}},
      {"f16 48", {"net.filters=16", "data.shape=[48,48,48]"}, {"20G", "120M", "1M"}},
  };
}

struct PlannerOptions {
  CommonOptions common;
  ConfigOptions config;
  std::string only;  ///< cases whose name has this in it
};

void run_bench_planner(const PlannerOptions& options) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  if (!options.common.json) {
    std::printf("%-30s %7s %9s %12s %7s %12s %11s\n", "case", "budget", "planning", "peak", "arena",
                "scratch disk", "update");
  }
  const int threads = thread_count(options.common);
  for (const PlannerCase& planned : planner_cases()) {
    if (planned.name.find(options.only) == std::string::npos) continue;
    ConfigOptions config_options = options.config;
    config_options.overrides.insert(config_options.overrides.begin(), planned.overrides.begin(),
                                    planned.overrides.end());
    RunConfig config = cli::read_config(config_options, options.common);
    // Planning opens no file; where it would be does not matter.
    if (!config.memory.spill.has_value()) config.memory.spill = ".";
    const JobSpec job = job_from_data_or_shape(config);
    const PlanSpec spec = plan_spec_from_config(config, threads);
    const TimeModel time = current_time_model(spec.target, threads);
    for (const std::string& budget : planned.budgets) {
      const double begin = monotonic_seconds();
      JobPrograms programs(job, spec, time);
      const JobPlan plan = plan_job(job, programs, threads, parse_bytes(budget));
      const double seconds = monotonic_seconds() - begin;
      const bool fits = plan.memory.peak_bytes() <= plan.budget_bytes;
      const double ratio =
          static_cast<double>(plan.arena_bytes) / static_cast<double>(plan.lower_bound_bytes);
      if (options.common.json) {
        rows.push_back({{"case", planned.name},
                        {"budget_bytes", plan.budget_bytes},
                        {"planning_seconds", seconds},
                        {"fits", fits},
                        {"peak_bytes", plan.memory.peak_bytes()},
                        {"arena_bytes", plan.arena_bytes},
                        {"lower_bound_bytes", plan.lower_bound_bytes},
                        {"spill_bytes", plan.spill_bytes},
                        {"step_seconds", plan.step_seconds}});
        continue;
      }
      std::printf("%-30s %7s %7.2f s %12s %6.3fx %12s %11s%s\n", planned.name.c_str(),
                  budget.c_str(), seconds, format_bytes(plan.memory.peak_bytes()).c_str(), ratio,
                  format_bytes(plan.spill_bytes).c_str(),
                  format_duration(plan.step_seconds).c_str(), fits ? "" : "  smallest that works");
      std::fflush(stdout);
    }
  }
  if (options.common.json) std::printf("%s\n", rows.dump(2).c_str());
}

}  // namespace

void add_bench_planner_command(CLI::App& bench) {
  CLI::App* command = bench.add_subcommand(
      "planner", "how long planning takes, and what it plans, for a list of nets and budgets");
  auto options = std::make_shared<PlannerOptions>();
  add_config_options(*command, options->config);
  add_common_options(*command, options->common);
  command->add_option("--only", options->only, "cases whose name contains this");
  command->footer(
      "arena: bytes of the arena over the largest sum of bytes alive at one step.\n"
      "Example:\n  wholemount bench planner examples/unet_whole_volume.toml --only 'batch 4'");
  command->callback([options] { run_bench_planner(*options); });
}

}  // namespace wholemount::cli
