#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/command.h"
#include "wholemount/base/clock.h"
#include "wholemount/base/error.h"
#include "wholemount/data/write_copies.h"

namespace wholemount::cli {

namespace {

struct AugmentOptions {
  CommonOptions common;
  std::string root;
  std::string out;
  std::string copies = "A";
  std::string layout;
  std::string control_wells = "119";
  int64_t crop = 0;  ///< side of the square; 0: the set's own
};

DatasetSelection selection_of(const AugmentOptions& options) {
  DatasetSelection selection;
  if (options.control_wells == "all") {
    selection.control_wells.reset();
  } else {
    try {
      selection.control_wells = std::stoll(options.control_wells);
    } catch (const std::exception&) {
      throw ConfigError("--control-wells " + options.control_wells +
                        ": wanted a number or \"all\"");
    }
  }
  selection.seed = options.common.seed.value_or(selection.seed);
  return selection;
}

void run_augment(const AugmentOptions& options) {
  std::optional<DatasetLayout> layout;
  if (!options.layout.empty()) layout = parse_layout(options.layout);
  const Dataset dataset = open_dataset(options.root, layout, selection_of(options));
  WriteCopiesSpec spec;
  spec.set = parse_copies(options.copies);
  spec.folder = options.out;
  if (options.crop > 0) spec.shape.fixed = Extent3{1, options.crop, options.crop};
  ThreadPool pool(thread_count(options.common));
  const double begin = monotonic_seconds();
  const auto fields = static_cast<int64_t>(dataset.cases.size());
  int64_t told = 0;
  const int64_t copies = write_copies(dataset, spec, &pool, [&](int64_t done) {
    if (done / 100 > told / 100 || done == fields) {
      std::fprintf(stderr, "%lld of %lld fields\n", static_cast<long long>(done),
                   static_cast<long long>(fields));
    }
    told = done;
  });
  const double seconds = monotonic_seconds() - begin;
  if (options.common.json) {
    nlohmann::ordered_json json;
    json["root"] = options.out;
    json["fields"] = fields;
    json["copies"] = copies;
    json["seconds"] = seconds;
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("%s: %lld copies of %lld fields (CSV layout), %.1f s\n", options.out.c_str(),
              static_cast<long long>(copies), static_cast<long long>(fields), seconds);
}

}  // namespace

void add_augment_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "augment", "write turned and mirrored copies of classified fields, with a manifest");
  auto options = std::make_shared<AugmentOptions>();
  add_common_options(*command, options->common);
  command->add_option("root", options->root, "data set with classes")->required();
  command->add_option("out", options->out, "folder to write")->required();
  command
      ->add_option("--copies", options->copies,
                   "A: quarter turns and mirrors; B: turns by 15 degrees and mirrors, cropped")
      ->capture_default_str();
  command
      ->add_option("--crop", options->crop,
                   "side of the central square that is kept; default: all with A, with B the "
                   "largest square that every turn leaves whole (724 of 1024)")
      ->check(CLI::Range(1, 65535));
  command->add_option("--layout", options->layout, "bbbc021, csv or folders; default: detected");
  command
      ->add_option("--control-wells", options->control_wells,
                   "bbbc021: untreated wells kept, or all")
      ->capture_default_str();
  command->footer(
      "data.copies makes the same copies while loading, and nothing is written. The manifest's\n"
      "column \"source\" keeps copies of a field together in every split but by = \"copy\".\n"
      "Examples:\n"
      "  wholemount augment BBBC021 copies --copies B\n"
      "  wholemount train examples/bbbc021.toml --set data.root=copies --set data.layout=csv\n"
      "  wholemount augment cells squares --copies A --crop 512");
  command->callback([options] { run_augment(*options); });
}

}  // namespace wholemount::cli
