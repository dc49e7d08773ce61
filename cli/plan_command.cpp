#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "cli/job_options.h"
#include "cli/plan_sweep.h"
#include "wholemount/base/memory.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/job_from_data.h"
#include "wholemount/train/job_plan.h"
#include "wholemount/train/plan_json.h"

namespace wholemount::cli {

namespace {

struct PlanOptions {
  CommonOptions common;
  ConfigOptions config;
  bool verbose = false;
  SweepOptions sweep;
};

void print_item(const char* name, size_t bytes) {
  if (bytes > 0) {
    std::printf("  %-34s %12s\n", name, format_bytes(bytes).c_str());
  }
}

void print_plan(const JobSpec& job, const JobPlan& plan, const TimeModel& time) {
  const MemoryPlan& memory = plan.memory;
  std::printf("network      %s, %lld parameters, %lld in, %zu out (", job.network.kind.c_str(),
              static_cast<long long>(plan.parameters), static_cast<long long>(job.task.in_channels),
              job.task.outputs.size());
  for (size_t i = 0; i < job.task.outputs.size(); ++i) {
    std::printf("%s%s", i == 0 ? "" : ", ", job.task.outputs[i].c_str());
  }
  std::printf(")\n");
  std::printf("largest      %s (padded), update of %lld samples, %lld at a time\n",
              to_string(plan.largest.front()).c_str(), static_cast<long long>(update_batch(job)),
              static_cast<long long>(samples_per_program(job)));
  std::printf("arithmetic   %sFLOP an image forward, %sFLOP an update\n\n",
              format_count(static_cast<double>(plan.flops_per_image)).c_str(),
              format_count(static_cast<double>(plan.step_flops)).c_str());
  std::printf("peak memory of the process           %12s\n",
              format_bytes(memory.peak_bytes()).c_str());
  print_item("activations, gradients, scratch", memory.arena_bytes);
  print_item("parameters", memory.parameter_bytes);
  print_item("gradient sums", memory.gradient_bytes);
  print_item("optimiser state", memory.optimiser_bytes);
  print_item("data staging", memory.data_bytes);
  print_item("program, libraries, stacks", memory.baseline_bytes + memory.reserve_bytes);
  std::printf("  (arena %.3f x its liveness lower bound; all layer outputs would be %s)\n\n",
              static_cast<double>(plan.arena_bytes) / static_cast<double>(plan.lower_bound_bytes),
              format_bytes(static_cast<size_t>(plan.layer_output_bytes)).c_str());
  std::printf(
      "update %s, epoch %s (%lld updates), run %s%s\n", format_duration(plan.step_seconds).c_str(),
      format_duration(plan.epoch_seconds).c_str(), static_cast<long long>(steps_per_epoch(job)),
      format_duration(plan.total_seconds).c_str(),
      time.measured ? "" : "  (a guess: run `wholemount calibrate` once on this machine)");
}

/// What is live at the fullest step, largest first.
void print_peak(const Program& program) {
  const Step& step = program.steps[static_cast<size_t>(program.peak_step)];
  std::printf("\nlive at the peak, step %d of %zu (%s):\n", program.peak_step, program.steps.size(),
              program.graph->nodes[static_cast<size_t>(step.node)].name.c_str());
  std::vector<const ArenaUse*> live;
  for (const ArenaUse& use : program.uses) {
    if (use.first_step <= program.peak_step && use.last_step >= program.peak_step) {
      live.push_back(&use);
    }
  }
  std::sort(live.begin(), live.end(),
            [](const ArenaUse* a, const ArenaUse* b) { return a->bytes > b->bytes; });
  for (size_t i = 0; i < std::min<size_t>(live.size(), 12); ++i) {
    std::printf("  %-40s %12s   steps %d to %d\n", live[i]->name.c_str(),
                format_bytes(live[i]->bytes).c_str(), live[i]->first_step, live[i]->last_step);
  }
  if (live.size() > 12) {
    std::printf("  and %zu smaller ones\n", live.size() - 12);
  }
}

/// What the policies of the largest program save and cost.
void print_policies(const Program& program) {
  if (program.policies.empty()) {
    std::printf("\nevery value is kept: the budget asks for nothing else\n");
    return;
  }
  constexpr std::array kNames = {"recompute", "spill", "stream", "half"};
  constexpr std::array kCosts = {"arithmetic again", "disk time beside the steps",
                                 "disk time beside the steps", "rounding and expanding"};
  constexpr auto kHalf = static_cast<size_t>(PolicyNote::Kind::half);
  std::array<double, kNames.size()> seconds{};
  std::array<size_t, kNames.size()> bytes{};
  std::array<int, kNames.size()> count{};
  std::set<std::string> halves;
  for (const PolicyNote& note : program.policies) {
    const auto kind = static_cast<size_t>(note.kind);
    seconds[kind] += note.seconds;
    bytes[kind] += note.bytes;
    ++count[kind];
    if (kind == kHalf) halves.insert(note.value);
  }
  std::printf("\nmemory policies (%s), %lld forward values kept:\n",
              halves.empty() ? "exact" : "not exact: memory.half",
              static_cast<long long>(program.kept_values));
  for (size_t kind = 0; kind < kNames.size(); ++kind) {
    if (count[kind] > 0) {
      std::printf("  %-10s %4d times, %12s not held, %s of %s\n", kNames[kind], count[kind],
                  format_bytes(kind == kHalf ? bytes[kind] / 2 : bytes[kind]).c_str(),
                  format_duration(seconds[kind]).c_str(), kCosts[kind]);
    }
  }
  if (!halves.empty()) {
    std::printf(
        "  %zu values wait for the backward pass as bfloat16, each number off by at most "
        "2^-8 of itself\n",
        halves.size());
  }
  std::printf("  scratch space on disk %s\n", format_bytes(program.spill_bytes).c_str());
  std::vector<const PolicyNote*> largest;
  for (const PolicyNote& note : program.policies) largest.push_back(&note);
  std::stable_sort(largest.begin(), largest.end(),
                   [](const PolicyNote* a, const PolicyNote* b) { return a->bytes > b->bytes; });
  for (size_t i = 0; i < std::min<size_t>(largest.size(), 16); ++i) {
    const PolicyNote& note = *largest[i];
    std::printf("  %-10s %-36s %12s  for %-40s %s\n", kNames[static_cast<size_t>(note.kind)],
                note.value.c_str(), format_bytes(note.bytes).c_str(), note.reader.c_str(),
                format_duration(note.seconds).c_str());
  }
  if (largest.size() > 16) std::printf("  and %zu more\n", largest.size() - 16);
}

void print_nodes(const Program& program) {
  std::printf("\n%-32s %-38s %9s %9s %9s  %s\n", "node", "kernel", "MFLOP", "MB", "ms", "reason");
  for (const Step& step : program.steps) {
    const Node& node = program.graph->nodes[static_cast<size_t>(step.node)];
    std::printf("%-32s %-38s %9.1f %9.1f %9.3f  %s\n", node.name.c_str(),
                step.kernel->name().c_str(), static_cast<double>(step.kernel->flops()) / 1e6,
                static_cast<double>(step.traffic_bytes) / 1e6, step.seconds * 1e3,
                step.kernel->reason().c_str());
  }
}

/// What other budgets would do to the job's largest shape.
struct OtherBudgets {
  size_t smallest_bytes = 0;
  double smallest_step_seconds = 0;
  double more_step_seconds = 0;  ///< with 1 GiB more
  double all_step_seconds = 0;   ///< without a budget
};

OtherBudgets plan_other_budgets(const JobSpec& job, const PlanSpec& spec, const TimeModel& time,
                                const JobPlan& plan) {
  JobSpec largest = job;
  largest.train_extents.assign(static_cast<size_t>(update_batch(job)), plan.largest.front());
  largest.validation_extents.assign(1, plan.largest.front());
  const auto plan_with = [&](size_t budget) {
    JobPrograms programs(largest, spec, time);
    return plan_job(largest, programs, spec.num_threads, budget);
  };
  OtherBudgets others;
  const JobPlan smallest = plan_with(1);
  others.smallest_bytes = smallest_budget_bytes(smallest);
  others.smallest_step_seconds = smallest.step_seconds;
  others.more_step_seconds = plan_with(plan.budget_bytes + (size_t{1} << 30)).step_seconds;
  others.all_step_seconds = plan_with(SIZE_MAX).step_seconds;
  return others;
}

void print_other_budgets(const OtherBudgets& others) {
  std::printf(
      "\nsmallest budget %s (update %s); 1 GiB more than now: update %s; without a budget %s\n",
      format_bytes(others.smallest_bytes).c_str(),
      format_duration(others.smallest_step_seconds).c_str(),
      format_duration(others.more_step_seconds).c_str(),
      format_duration(others.all_step_seconds).c_str());
}

void run_plan(const PlanOptions& options) {
  if (!options.sweep.axes.empty()) {
    run_sweep(options.sweep, options.config, options.common);
    return;
  }
  const RunConfig config = cli::read_config(options.config, options.common);
  const int threads = thread_count(options.common);
  const JobSpec job = job_from_data_or_shape(config, /*with_loading=*/true);
  const PlanSpec spec = plan_spec_from_config(config, threads);
  const TimeModel time = current_time_model(spec.target, threads);
  JobPrograms programs(job, spec, time);
  const size_t budget = memory_budget_bytes(config, options.config.memory);
  const JobPlan plan = plan_job(job, programs, threads, budget);
  // Only where the budget binds: it takes a few more searches.
  std::optional<OtherBudgets> others;
  if (plan.recomputed_values + plan.spilled_values + plan.half_values > 0) {
    others = plan_other_budgets(job, spec, time, plan);
  }
  if (options.common.json) {
    nlohmann::ordered_json json = plan_json(job, plan);
    json["calibrated"] = time.measured;
    json["budget_bytes"] = budget;
    if (others.has_value()) {
      json["smallest_budget_bytes"] = others->smallest_bytes;
      json["smallest_budget_step_seconds"] = others->smallest_step_seconds;
      json["next_gib_step_seconds"] = others->more_step_seconds;
      json["unlimited_step_seconds"] = others->all_step_seconds;
    }
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    print_plan(job, plan, time);
    const UpdateProgram& program = programs.update.get(plan.largest);
    print_peak(*program.program);
    print_policies(*program.program);
    if (others.has_value()) print_other_budgets(*others);
    if (options.verbose) {
      print_nodes(*program.program);
    }
  }
  check_budget(plan);
}

}  // namespace

void add_plan_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("plan", "bytes and seconds of a run, before running it");
  auto options = std::make_shared<PlanOptions>();
  add_config_options(*command, options->config);
  add_common_options(*command, options->common);
  command->add_flag("-v,--verbose", options->verbose, "list every node with its kernel and why");
  command
      ->add_option(
          "--sweep", options->sweep.axes,
          "plan every value of a configuration key, KEY=V1,V2,... (repeatable); memory.budget "
          "alone: from the floor to no budget")
      ->allow_extra_args(false);
  command->add_flag("--measure", options->sweep.measure,
                    "with --sweep: run an update of each, and show measured beside predicted");
  command->add_option("--figure", options->sweep.figure,
                      "page on which a sweep is drawn (default: sweep.html)");
  command->footer(
      "Examples:\n"
      "  wholemount plan examples/hippocampus.toml\n"
      "  wholemount plan examples/unet_whole_volume.toml --sweep net.filters=16,32,64 \\\n"
      "      --sweep 'data.shape=[48,48,48],[96,96,96],[144,240,240]'\n"
      "  wholemount plan examples/unet_whole_volume.toml --set memory.spill=/scratch \\\n"
      "      --sweep memory.budget\n"
      "  wholemount plan examples/hippocampus.toml --set net.filters=32 --memory 4G -v\n"
      "  wholemount plan examples/unet_whole_volume.toml --json\n"
      "Exit 4 when the plan does not fit the budget.");
  command->callback([options] { run_plan(*options); });
}

}  // namespace wholemount::cli
