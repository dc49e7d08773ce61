#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "cli/command.h"
#include "wholemount/base/cpu.h"
#include "wholemount/base/error.h"
#include "wholemount/base/nearest_name.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount::cli {

void add_common_options(CLI::App& command, CommonOptions& options) {
  command.add_flag("--json", options.json, "print one JSON object on stdout");
  command.add_option("--threads", options.threads,
                     "compute threads (default: all CPUs this process may use)");
  command.add_option("--seed", options.seed, "seed of every random draw");
}

void add_config_options(CLI::App& command, ConfigOptions& options) {
  command.add_option("config", options.path, "configuration (TOML)")->required();
  command.add_option("--set", options.overrides, "override a key, e.g. --set net.filters=32")
      ->take_all()
      ->allow_extra_args(false);
  command.add_option("--memory", options.memory,
                     "memory budget of the whole process, e.g. 8G (default: what is free)");
  command.add_option("--kernels", options.kernels,
                     "short for --set train.kernels=: best, direct, winograd2, winograd24, "
                     "winograd4 or reference");
}

int thread_count(const CommonOptions& options) {
  if (options.threads < 0) {
    throw ConfigError("--threads " + std::to_string(options.threads) +
                      ": wanted a positive number");
  }
  return options.threads == 0 ? usable_cpus() : options.threads;
}

}  // namespace wholemount::cli

namespace {

/// CLI11 would only say that a subcommand is required.
void refuse_unknown_command(const CLI::App& app, int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "";
  if (word.empty() || word.front() == '-') return;
  std::vector<std::string> known;
  for (const CLI::App* command : app.get_subcommands({})) {
    if (command->get_name() == word) return;
    known.push_back(command->get_name());
  }
  throw wholemount::ConfigError("unknown command \"" + word + "\"" +
                                wholemount::suggestion(word, known));
}

}  // namespace

int main(int argc, char** argv) {
  using wholemount::ExitCode;
  // A file grown to its limit is then an error of the write, which says so.
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App app{
      "Wholemount trains and runs convolutional networks on whole large images, inside the memory "
      "you give it.",
      "wholemount"};
  app.require_subcommand(1);
  app.set_version_flag("--version", WM_VERSION);
  app.footer(
      "Examples:\n"
      "  wholemount plan examples/hippocampus.toml\n"
      "  wholemount train examples/hippocampus.toml --out runs/hippocampus\n"
      "  wholemount predict runs/hippocampus scan.nii.gz --out predictions");
  try {
    namespace cli = wholemount::cli;
    cli::add_info_command(app);
    cli::add_synth_command(app);
    cli::add_augment_command(app);
    cli::add_plan_command(app);
    cli::add_train_command(app);
    cli::add_predict_command(app);
    cli::add_evaluate_command(app);
    cli::add_calibrate_command(app);
    cli::add_bench_command(app);
    cli::add_report_command(app);
    cli::add_config_command(app);
    refuse_unknown_command(app, argc, argv);
    app.parse(argc, argv);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
      throw wholemount::OutputError("standard output", "cannot be written (" +
                                                           wholemount::system_error_text(errno) +
                                                           "); the answer is incomplete");
    }
    return static_cast<int>(ExitCode::done);
  } catch (const CLI::ParseError& error) {
    // Help and version come here too, with code 0; everything else is a usage error.
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
  } catch (const wholemount::Error& error) {
    std::fprintf(stderr, "wholemount: %s\n", error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr,
                 "wholemount: the operating system refused memory; give a smaller --memory or free "
                 "some\n");
    return static_cast<int>(ExitCode::memory);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "wholemount: internal error: %s; please report this\n", error.what());
    return static_cast<int>(ExitCode::internal);
  }
}
