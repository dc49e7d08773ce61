#include "wholemount/train/config_node.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/nesting.h"

namespace wholemount {
namespace {

ConfigNode convert(const toml::node& node, const std::string& source, bool with_line) {
  ConfigNode result;
  result.where = with_line ? source + ":" + std::to_string(node.source().begin.line) : source;
  if (const auto* boolean = node.as_boolean()) {
    result.value = boolean->get();
  } else if (const auto* integer = node.as_integer()) {
    result.value = integer->get();
  } else if (const auto* number = node.as_floating_point()) {
    result.value = number->get();
  } else if (const auto* text = node.as_string()) {
    result.value = text->get();
  } else if (const auto* array = node.as_array()) {
    ConfigNode::Array items;
    for (const toml::node& item : *array) {
      items.push_back(convert(item, source, with_line));
    }
    result.value = std::move(items);
  } else if (const auto* table = node.as_table()) {
    ConfigNode::Table entries;
    for (const auto& [key, item] : *table) {
      entries.push_back({std::string(key.str()), convert(item, source, with_line)});
    }
    result.value = std::move(entries);
  } else {
    throw ConfigError(result.where + ": dates and times are not used in a configuration");
  }
  return result;
}

bool begins_like_toml(const std::string& text) {
  return text.empty() || std::string_view("[{\"'").find(text.front()) != std::string_view::npos;
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  return begin == std::string::npos ? std::string()
                                    : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

std::string ConfigNode::type_name() const {
  static constexpr const char* kNames[] = {"a boolean", "an integer", "a number",
                                           "a text",    "an array",   "a table"};
  return kNames[value.index()];
}

ConfigNode parse_toml(std::string_view text, const std::string& source) {
  if (toml_key_nesting(text) > kDeepestNesting) {
    throw ConfigError(fmt::format("{}: a key has more than {} parts", source, kDeepestNesting));
  }
  try {
    return convert(toml::parse(text), source, true);
  } catch (const toml::parse_error& error) {
    throw ConfigError(fmt::format("{}:{}:{}: is not valid TOML: {}", source,
                                  error.source().begin.line, error.source().begin.column,
                                  error.description()));
  }
}

ConfigEntry parse_override(const std::string& text) {
  const std::string where = "--set " + text;
  const size_t equals = text.find('=');
  if (equals == std::string::npos || trimmed(text.substr(0, equals)).empty()) {
    throw ConfigError(where + ": wants key=value, e.g. --set train.epochs=3");
  }
  ConfigEntry entry;
  entry.key = trimmed(text.substr(0, equals));
  const std::string value = trimmed(text.substr(equals + 1));
  // A line end would let the value smuggle in further keys.
  if (value.find_first_of("\r\n") != std::string::npos) {
    throw ConfigError(where + ": the value must be on one line");
  }
  try {
    const toml::table table = toml::parse("value = " + value);
    entry.node = convert(*table.get("value"), where, false);
  } catch (const toml::parse_error& error) {
    if (begins_like_toml(value)) {
      throw ConfigError(
          fmt::format("{}: the value is not valid TOML: {}", where, error.description()));
    }
    entry.node = {value, where};
  }
  return entry;
}

std::string toml_quote(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      result += fmt::format("\\u{:04X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string toml_number(double number) {
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == std::string::npos) {
    text += ".0";
  }
  return text;
}

}  // namespace wholemount
