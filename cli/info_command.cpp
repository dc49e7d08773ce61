#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"
#include "cli/info_report.h"
#include "wholemount/base/error.h"

namespace wholemount::cli {

namespace {

using Json = nlohmann::ordered_json;

struct InfoOptions {
  CommonOptions common;
  std::vector<std::string> paths;
  bool machine = false;
  bool check = false;
};

InfoReport describe(const std::string& path, const DatasetInfoOptions& options) {
  if (std::filesystem::is_directory(path)) {
    return is_run_folder(path) ? describe_run(path) : describe_dataset(path, options);
  }
  if (path.ends_with(".safetensors")) return describe_model(path);
  if (path.ends_with(".csv")) return describe_dataset(path, options);
  return describe_scan(path);
}

void print_report(const std::string& title, const InfoReport& report) {
  size_t width = 0;
  for (const auto& row : report.rows) width = std::max(width, row.first.size());
  std::printf("%s%s%s\n", title.c_str(), title.empty() ? "" : ": ", report.kind.c_str());
  for (const auto& [name, text] : report.rows) {
    std::printf("  %-*s  %s\n", static_cast<int>(width), name.c_str(), text.c_str());
  }
}

// Describes all paths; errors become entries of their own, and the first is thrown at the end.
class Describer {
 public:
  Describer(bool json, const DatasetInfoOptions& options) : json_(json), options_(options) {}

  void add(const std::string& path) {
    try {
      InfoReport report = describe(path, options_);
      if (report.problem) report.json["problem"] = *report.problem;
      entries_.push_back(report.json);
      if (!json_) print_report(path, report);
      if (report.problem) fail(FileError(path, *report.problem));
    } catch (const Error& error) {
      entries_.push_back({{"path", path},
                          {"error", error.what()},
                          {"exit_code", static_cast<int>(error.exit_code())}});
      fail(error);
    }
  }

  void finish() const {
    if (json_) {
      const Json json = entries_.size() == 1 ? entries_.front() : Json{{"files", entries_}};
      std::printf("%s\n", json.dump(2).c_str());
    }
    std::fflush(stdout);
    if (failure_) throw Error(*failure_);
  }

 private:
  // main() prints what is thrown, so only later failures are printed here.
  void fail(const Error& error) {
    if (!failure_) {
      failure_ = std::make_unique<Error>(error);
    } else {
      std::fprintf(stderr, "wholemount: %s\n", error.what());
    }
  }

  bool json_;
  DatasetInfoOptions options_;
  std::vector<Json> entries_;
  std::unique_ptr<Error> failure_;
};

void run_info(const InfoOptions& options) {
  if (options.machine != options.paths.empty()) {
    throw ConfigError("info: wanted files or folders to describe, or --machine (not both)");
  }
  if (options.machine) {
    const InfoReport report = describe_machine();
    if (options.common.json) {
      std::printf("%s\n", report.json.dump(2).c_str());
    } else {
      print_report("", report);
    }
    return;
  }
  Describer describer(options.common.json, {options.check, thread_count(options.common)});
  for (const std::string& path : options.paths) describer.add(path);
  describer.finish();
}

}  // namespace

void add_info_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("info", "what a scan, data set, model or run folder is, or the machine");
  auto options = std::make_shared<InfoOptions>();
  command->add_option("files", options->paths,
                      "images (NIfTI, TIFF, PNG), models (.safetensors), data sets, run folders");
  command->add_flag("--machine", options->machine,
                    "describe CPUs, caches, NUMA nodes and memory instead");
  command->add_flag(
      "--check", options->check,
      "of data sets: read every voxel of every case (default: all headers, the voxels "
      "of a few cases)");
  add_common_options(*command, options->common);
  command->footer(
      "Every voxel of a scan is read, so a truncated or damaged one is found (exit 3). With --json "
      "one file\n"
      "is one object, several are {\"files\": [...]}; the exit code is that of the first failure.\n"
      "Examples:\n"
      "  wholemount info scan.nii.gz\n"
      "  wholemount info Task04_Hippocampus runs/hippocampus --json\n"
      "  wholemount info Task04_Hippocampus --check\n"
      "  wholemount info --machine");
  command->callback([options] { run_info(*options); });
}

}  // namespace wholemount::cli
