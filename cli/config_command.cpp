#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "wholemount/train/config.h"
#include "wholemount/train/config_reference.h"

namespace wholemount::cli {

namespace {

struct ConfigReferenceOptions {
  bool json = false;
  bool markdown = false;
};

void print_reference(const ConfigReferenceOptions& options) {
  if (!options.json) {
    const std::string text =
        options.markdown ? config_reference_markdown() : config_reference_text();
    std::fputs(text.c_str(), stdout);
    return;
  }
  nlohmann::ordered_json json;
  json["keys"] = nlohmann::ordered_json::array();
  for (const ConfigKey& key : config_keys()) {
    json["keys"].push_back({{"name", key.name},
                            {"type", key.type},
                            {"default", key.default_value},
                            {"meaning", key.meaning},
                            {"changes_result", key.changes_result}});
  }
  std::printf("%s\n", json.dump(2).c_str());
}

}  // namespace

void add_config_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("config", "every configuration key with type, default and meaning");
  auto options = std::make_shared<ConfigReferenceOptions>();
  command->add_flag("--json", options->json, "print one JSON object on stdout");
  command->add_flag("--markdown", options->markdown, "print docs/configuration.md");
  command->footer(
      "Examples:\n"
      "  wholemount config\n"
      "  wholemount config --markdown > docs/configuration.md");
  command->callback([options] { print_reference(*options); });
}

}  // namespace wholemount::cli
