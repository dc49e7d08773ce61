#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/command.h"
#include "wholemount/base/terminal.h"
#include "wholemount/report/report.h"

namespace wholemount::cli {

namespace {

struct ReportOptions {
  CommonOptions common;
  std::string run;
  std::string data;
  int64_t cases = 3;
};

void show_progress(size_t done, size_t all) {
  std::fprintf(stderr, "\rpredicted %zu of %zu%s", done, all, done == all ? "\n" : "");
}

void run_report(const ReportOptions& options) {
  ReportSpec spec;
  spec.run_folder = options.run;
  spec.data_root = options.data;
  spec.num_samples = options.cases;
  spec.threads = thread_count(options.common);
  if (stderr_is_terminal()) spec.progress = show_progress;
  const ReportResult result = write_report(spec);
  for (const std::string& note : result.notes) {
    std::fprintf(stderr, "left out of the report: %s\n", note.c_str());
  }
  if (options.common.json) {
    const nlohmann::ordered_json json = {
        {"report", result.page}, {"pictures", result.pictures}, {"left_out", result.notes}};
    std::printf("%s\n", json.dump(2).c_str());
  } else {
    std::printf("%s\n", result.page.c_str());
  }
}

}  // namespace

void add_report_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("report", "rebuild a run's report.html and its pictures");
  auto options = std::make_shared<ReportOptions>();
  command->add_option("run", options->run, "run folder")->required();
  command->add_option("--data", options->data,
                      "the data set's folder, where it has moved since the training");
  command
      ->add_option("--cases", options->cases,
                   "sample cases shown, from the worst to the best (default: 3)")
      ->check(CLI::Range(0, 24));
  add_common_options(*command, options->common);
  command->footer(
      "Examples:\n"
      "  wholemount report runs/hippocampus\n"
      "  wholemount report runs/hippocampus --cases 6 --json\n"
      "Works on running runs, too. The page needs no other file; RUN/report/ holds the pictures "
      "and\n"
      "the sample cases' label maps.");
  command->callback([options] { run_report(*options); });
}

}  // namespace wholemount::cli
