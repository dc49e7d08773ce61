#include <charconv>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "wholemount/base/clock.h"
#include "wholemount/base/error.h"
#include "wholemount/data/phantom/brain_dataset.h"
#include "wholemount/data/phantom/cell_dataset.h"

namespace wholemount::cli {

namespace {

struct SynthBrainOptions {
  CommonOptions common;
  BrainDatasetSpec spec;
  std::string shape = "155x240x240";
};

/// "144x240x240" as its `count` sides; `wanted` says what they are.
std::vector<int64_t> parse_sides(const std::string& text, size_t count, const char* wanted) {
  std::vector<int64_t> sides;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (sides.size() < count) {
    int64_t side = 0;
    const auto [rest, error] = std::from_chars(at, end, side);
    if (error != std::errc()) break;
    sides.push_back(side);
    at = rest;
    if (at == end || *at != 'x') break;
    ++at;
  }
  if (sides.size() != count || at != end) {
    throw ConfigError("--shape " + text + ": wanted " + wanted);
  }
  return sides;
}

nlohmann::ordered_json to_json(const BrainCaseSummary& summary) {
  nlohmann::ordered_json json;
  json["name"] = summary.name;
  json["image"] = summary.image;
  if (!summary.label.empty()) {
    json["label"] = summary.label;
    json["label_voxels"] = summary.label_voxels;
  }
  json["spacing_mm"] = summary.spacing_mm;
  return json;
}

void print_case(const BrainCaseSummary& summary, int64_t done, int64_t total) {
  const double millilitres =
      summary.spacing_mm[0] * summary.spacing_mm[1] * summary.spacing_mm[2] / 1000;
  std::fprintf(stderr, "%4lld/%lld  %s", static_cast<long long>(done),
               static_cast<long long>(total), summary.name.c_str());
  if (!summary.label.empty()) {
    std::fprintf(stderr, "  oedema %.0f ml, non-enhancing %.0f ml, enhancing %.0f ml",
                 static_cast<double>(summary.label_voxels[1]) * millilitres,
                 static_cast<double>(summary.label_voxels[2]) * millilitres,
                 static_cast<double>(summary.label_voxels[3]) * millilitres);
  }
  std::fprintf(stderr, "\n");
}

void run_synth_brain(SynthBrainOptions& options) {
  BrainDatasetSpec& spec = options.spec;
  const std::vector<int64_t> sides =
      parse_sides(options.shape, 3, "depth x height x width, e.g. 155x240x240");
  spec.extent = {sides[0], sides[1], sides[2]};
  spec.seed = options.common.seed.value_or(0);
  ThreadPool pool(thread_count(options.common));
  const double begin = monotonic_seconds();
  const int64_t total = spec.num_training + spec.num_test;
  int64_t done = 0;
  const std::vector<BrainCaseSummary> summaries = write_brain_dataset(
      spec, &pool, [&](const BrainCaseSummary& summary) { print_case(summary, ++done, total); });
  const double seconds = monotonic_seconds() - begin;
  if (options.common.json) {
    nlohmann::ordered_json json;
    json["root"] = spec.root;
    json["shape"] = {spec.extent.d, spec.extent.h, spec.extent.w};
    json["seed"] = spec.seed;
    json["cases"] = nlohmann::ordered_json::array();
    for (const BrainCaseSummary& summary : summaries) json["cases"].push_back(to_json(summary));
    json["seconds"] = seconds;
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("%s: %lld training and %lld test cases of %s (MSD layout), %.1f s\n",
              spec.root.c_str(), static_cast<long long>(spec.num_training),
              static_cast<long long>(spec.num_test), to_string(spec.extent).c_str(), seconds);
}

void add_synth_brain(CLI::App& synth) {
  CLI::App* command = synth.add_subcommand(
      "brain", "brain-tumour phantoms: FLAIR, T1w, t1gd, T2w and labels 0-3, in MSD layout");
  auto options = std::make_shared<SynthBrainOptions>();
  add_common_options(*command, options->common);
  command->add_option("out", options->spec.root, "folder to write")->required();
  command->add_option("--cases", options->spec.num_training, "labelled cases")->required();
  command->add_option("--test", options->spec.num_test, "further cases without labels");
  command->add_option("--shape", options->shape, "depth x height x width")->capture_default_str();
  command->footer(
      "Examples:\n"
      "  wholemount synth brain phantoms --cases 20 --shape 48x64x64 --seed 1\n"
      "  wholemount synth brain whole --cases 4 --test 1 --shape 155x240x240");
  command->callback([options] { run_synth_brain(*options); });
}

struct SynthCellsOptions {
  CommonOptions common;
  CellDatasetSpec spec;
  std::string shape = "1024x1280";
};

void run_synth_cells(SynthCellsOptions& options) {
  CellDatasetSpec& spec = options.spec;
  const std::vector<int64_t> sides =
      parse_sides(options.shape, 2, "height x width, e.g. 1024x1280");
  spec.height = sides[0];
  spec.width = sides[1];
  spec.seed = options.common.seed.value_or(0);
  ThreadPool pool(thread_count(options.common));
  const double begin = monotonic_seconds();
  write_cell_dataset(spec, &pool, [&](int64_t done) {
    if (done % 100 == 0 || done == spec.num_images) {
      std::fprintf(stderr, "%lld of %lld fields\n", static_cast<long long>(done),
                   static_cast<long long>(spec.num_images));
    }
  });
  const double seconds = monotonic_seconds() - begin;
  if (options.common.json) {
    nlohmann::ordered_json json;
    json["root"] = spec.root;
    json["images"] = spec.num_images;
    json["shape"] = {spec.height, spec.width};
    json["classes"] = spec.classes;
    json["seed"] = spec.seed;
    json["seconds"] = seconds;
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("%s: %lld fields of %lld x %lld, %lld classes (BBBC021 layout), %.1f s\n",
              spec.root.c_str(), static_cast<long long>(spec.num_images),
              static_cast<long long>(spec.height), static_cast<long long>(spec.width),
              static_cast<long long>(spec.classes), seconds);
}

void add_synth_cells(CLI::App& synth) {
  CLI::App* command = synth.add_subcommand(
      "cells", "fluorescence fields: nuclei, tubulin, actin (16-bit TIFF), in BBBC021 layout");
  auto options = std::make_shared<SynthCellsOptions>();
  add_common_options(*command, options->common);
  command->add_option("out", options->spec.root, "folder to write")->required();
  command->add_option("--images", options->spec.num_images, "fields")->required();
  command->add_option("--shape", options->shape, "height x width")->capture_default_str();
  command->add_option("--classes", options->spec.classes, "phenotypes, untreated included")
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  wholemount synth cells cells --images 1040 --shape 512x640 --classes 13 --seed 1\n"
      "  wholemount train examples/bbbc021.toml --set data.root=cells");
  command->callback([options] { run_synth_cells(*options); });
}

}  // namespace

void add_synth_command(CLI::App& app) {
  CLI::App* synth = app.add_subcommand("synth", "make phantoms: data sets without patients");
  synth->require_subcommand(1);
  synth->footer("Example:\n  wholemount synth brain phantoms --cases 20 --shape 48x64x64 --seed 1");
  add_synth_brain(*synth);
  add_synth_cells(*synth);
}

}  // namespace wholemount::cli
