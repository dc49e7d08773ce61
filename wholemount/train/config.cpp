#include "wholemount/train/config.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <iterator>
#include <string_view>

#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/nearest_name.h"
#include "wholemount/base/sha256.h"
#include "wholemount/base/system_error_text.h"
#include "wholemount/train/config_node.h"
#include "wholemount/train/config_schema.h"

namespace wholemount {
namespace {

const ConfigRule* find_rule(const std::string& name) {
  const auto& schema = config_schema();
  const auto found = std::find_if(schema.begin(), schema.end(),
                                  [&](const ConfigRule& rule) { return rule.key.name == name; });
  return found == schema.end() ? nullptr : &*found;
}

bool is_table(const std::string& name) {
  return std::any_of(config_schema().begin(), config_schema().end(),
                     [&](const ConfigRule& rule) { return rule.key.name.starts_with(name + "."); });
}

// The keys and tables directly inside a table ("" is the document).
std::vector<std::string> members_of(const std::string& table) {
  const std::string prefix = table.empty() ? "" : table + ".";
  std::vector<std::string> members;
  for (const ConfigRule& rule : config_schema()) {
    if (rule.key.name.starts_with(prefix)) {
      std::string member = rule.key.name.substr(prefix.size());
      member = member.substr(0, member.find('.'));
      if (members.empty() || members.back() != member) {
        members.push_back(member);
      }
    }
  }
  return members;
}

[[noreturn]] void unknown_key(const std::string& name, const std::string& where) {
  const size_t dot = name.rfind('.');
  const std::string last = dot == std::string::npos ? name : name.substr(dot + 1);
  std::string table = dot == std::string::npos ? "" : name.substr(0, dot);
  const std::string message = where + ": unknown key \"" + name + "\"";
  if (nearest_name(last, members_of(table)).empty()) {
    // A known name in the wrong table: train.rate for train.optimizer.rate.
    for (const ConfigRule& rule : config_schema()) {
      if (rule.key.name.ends_with("." + last)) {
        throw ConfigError(message + "; did you mean \"" + rule.key.name + "\"?");
      }
    }
  }
  while (!table.empty() && !is_table(table)) {
    const size_t parent = table.rfind('.');
    table = parent == std::string::npos ? "" : table.substr(0, parent);
  }
  throw ConfigError(message + suggestion(last, members_of(table)));
}

void apply(const std::string& name, const ConfigNode& node, RunConfig& config) {
  if (const ConfigRule* rule = find_rule(name)) {
    rule->read(node, config);
    return;
  }
  if (!name.empty() && !is_table(name)) {
    unknown_key(name, node.where);
  }
  if (const auto* table = std::get_if<ConfigNode::Table>(&node.value)) {
    for (const ConfigEntry& entry : *table) {
      apply(name.empty() ? entry.key : name + "." + entry.key, entry.node, config);
    }
    return;
  }
  // optimizer = "adam" is short for optimizer = { name = "adam" }.
  const ConfigRule* const name_rule = find_rule(name + ".name");
  if (name_rule != nullptr && std::holds_alternative<std::string>(node.value)) {
    name_rule->read(node, config);
    return;
  }
  throw ConfigError(node.where + ": " + name + " must be a table, found " + node.type_name());
}

// What no single key can tell.
void check_together(const RunConfig& config, const std::string& source) {
  const auto refuse = [&](const std::string& what) { throw ConfigError(source + ": " + what); };
  const SplitConfig& split = config.data.split;
  const double sum = split.train + split.validation + split.test;
  // Three decimal fractions that sum to 1 on paper miss it by a few roundings.
  if (sum > 1.0 + 1e-9) {
    refuse("data.split: train + validation + test must not exceed 1, found " + toml_number(sum));
  }
  const TrainConfig& train = config.train;
  if (train.micro_batch && *train.micro_batch > train.batch) {
    refuse("train.micro_batch = " + std::to_string(*train.micro_batch) +
           " must not exceed train.batch = " + std::to_string(train.batch));
  }
  if (train.target && train.target->metric.empty()) {
    refuse("train.target needs a metric, e.g. target = { metric = \"Dice\", value = 0.85 }");
  }
  if (config.data.target.empty()) {
    refuse("data.target must name \"labels\" or at least one region");
  }
}

}  // namespace

std::optional<size_t> MemoryConfig::budget_bytes() const {
  return budget ? std::optional<size_t>(parse_bytes(*budget)) : std::nullopt;
}

RunConfig parse_config(const std::string& text, const std::string& source,
                       const std::vector<std::string>& overrides) {
  RunConfig config;
  apply("", parse_toml(text, source), config);
  for (const std::string& override_text : overrides) {
    const ConfigEntry entry = parse_override(override_text);
    apply(entry.key, entry.node, config);
  }
  check_together(config, source);
  return config;
}

RunConfig read_config(const std::string& path, const std::vector<std::string>& overrides) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    throw FileError(path, "the configuration cannot be opened: " + system_error_text(errno));
  }
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (stream.bad()) {
    throw FileError(path, "the configuration cannot be read");
  }
  return parse_config(text, path, overrides);
}

std::string to_toml(const RunConfig& config) {
  std::string result;
  std::string section;
  for (const ConfigRule& rule : config_schema()) {
    const std::string value = rule.write(config);
    if (value.empty()) {
      continue;
    }
    const size_t dot = rule.key.name.find('.');
    if (rule.key.name.substr(0, dot) != section) {
      section = rule.key.name.substr(0, dot);
      result += (result.empty() ? "[" : "\n[") + section + "]\n";
    }
    result += rule.key.name.substr(dot + 1) + " = " + value + "\n";
  }
  return result;
}

std::string config_digest(const RunConfig& config) {
  std::string text;
  for (const ConfigRule& rule : config_schema()) {
    if (rule.counts(config)) {
      text += rule.key.name + " = " + rule.write(config) + "\n";
    }
  }
  return sha256_hex(text);
}

std::vector<std::string> config_differences(const RunConfig& from, const RunConfig& to) {
  std::vector<std::string> differences;
  for (const ConfigRule& rule : config_schema()) {
    if (!rule.counts(from) && !rule.counts(to)) {
      continue;
    }
    const std::string before = rule.write(from);
    const std::string after = rule.write(to);
    if (before != after) {
      differences.push_back(rule.key.name + ": " + before + " -> " + after);
    }
  }
  return differences;
}

std::vector<ConfigKey> config_keys() {
  std::vector<ConfigKey> keys;
  for (const ConfigRule& rule : config_schema()) {
    keys.push_back(rule.key);
  }
  return keys;
}

}  // namespace wholemount
