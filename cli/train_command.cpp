#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/job_options.h"
#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"
#include "wholemount/report/report.h"
#include "wholemount/train/job_from_data.h"
#include "wholemount/train/loop.h"

namespace wholemount::cli {

namespace {

struct TrainOptions {
  CommonOptions common;
  ConfigOptions config;
  std::string out = "runs/last";
  bool resume = false;
  bool no_report = false;
  int64_t max_steps = 0;
};

/// Writes the run's report.html; what goes wrong there does not undo the training. Returns the
/// page's path, or nothing.
std::string report_of(const TrainOptions& options, const TrainSummary& summary, int threads) {
  if (options.no_report) return {};
  ReportSpec spec;
  spec.run_folder = options.out;
  spec.threads = threads;
  spec.memory = options.config.memory;
  // A stopped run ends at once, as whoever stopped it expects.
  spec.predict = summary.status == "finished" || summary.status == "target-reached";
  try {
    const ReportResult result = write_report(spec);
    for (const std::string& note : result.notes) {
      std::fprintf(stderr, "left out of the report: %s\n", note.c_str());
    }
    return result.page;
  } catch (const Error& error) {
    std::fprintf(stderr, "no report: %s\n", error.what());
    return {};
  }
}

void print_summary(const TrainSummary& summary, const std::string& folder,
                   const std::string& report) {
  const auto percent = [](double measured, double predicted) {
    return 100.0 * (measured / predicted - 1.0);
  };
  std::printf("%s after %lld epochs, %lld updates\n", summary.status.c_str(),
              static_cast<long long>(summary.epochs), static_cast<long long>(summary.steps));
  std::printf("  %-16s %14s %14s\n", "", "predicted", "measured");
  std::printf("  %-16s %14s %14s  (%+.1f %%)\n", "peak memory",
              format_bytes(summary.predicted_peak_bytes).c_str(),
              format_bytes(summary.measured_peak_bytes).c_str(),
              percent(static_cast<double>(summary.measured_peak_bytes),
                      static_cast<double>(summary.predicted_peak_bytes)));
  if (summary.measured_step_seconds > 0) {
    std::printf("  %-16s %14s %14s  (%+.1f %%)\n", "update",
                format_duration(summary.predicted_step_seconds).c_str(),
                format_duration(summary.measured_step_seconds).c_str(),
                percent(summary.measured_step_seconds, summary.predicted_step_seconds));
  }
  for (const auto& [name, value] : summary.metrics) {
    if (value.has_value()) {
      std::printf("  %-30s %.4f\n", name.c_str(), *value);
    } else {
      std::printf("  %-30s undefined\n", name.c_str());
    }
  }
  std::printf("  weights %s\n  run folder %s\n", summary.weights_digest.c_str(), folder.c_str());
  if (!report.empty()) std::printf("  report %s\n", report.c_str());
}

void run_train(const TrainOptions& options) {
  const RunConfig config = cli::read_config(options.config, options.common);
  TrainSpec spec;
  spec.run_folder = options.out;
  spec.resume = options.resume;
  if (options.max_steps > 0) {
    spec.max_steps = options.max_steps;
  }
  spec.threads = thread_count(options.common);
  spec.memory = options.config.memory;
  DataJob job = job_from_data(config);
  job.job.case_load_seconds = measure_case_load_seconds(job);
  const TrainSummary summary = train(job, spec);
  const std::string report = report_of(options, summary, spec.threads);
  if (options.common.json) {
    nlohmann::ordered_json json = summary_json(summary);
    if (!report.empty()) json["report"] = report;
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    print_summary(summary, options.out, report);
  }
}

}  // namespace

void add_train_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "train a network on whole volumes");
  auto options = std::make_shared<TrainOptions>();
  add_config_options(*command, options->config);
  add_common_options(*command, options->common);
  command->add_option("--out", options->out, "run folder (default runs/last)");
  command->add_flag("--resume", options->resume, "go on from the run folder's last checkpoint");
  command->add_flag("--no-report", options->no_report,
                    "do not write report.html at the end (`wholemount report RUN` can later)");
  command
      ->add_option("--max-steps", options->max_steps,
                   "stop after this many updates, without a final evaluation")
      ->check(CLI::PositiveNumber);
  command->footer(
      "Examples:\n"
      "  wholemount train examples/hippocampus.toml --out runs/hippocampus\n"
      "  wholemount train examples/hippocampus.toml --out runs/hippocampus --resume\n"
      "  wholemount train examples/hippocampus.toml --out runs/wide --set net.filters=32 --memory "
      "4G\n"
      "SIGTERM and SIGINT write a checkpoint and end with exit 0.");
  command->callback([options] { run_train(*options); });
}

}  // namespace wholemount::cli
