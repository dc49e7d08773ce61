#include "wholemount/train/config_loss.h"

#include <algorithm>
#include <array>
#include <utility>

#include "wholemount/train/config_rules.h"

namespace wholemount {
namespace {

using namespace config_rules;

const std::string kKey = "train.loss";

const std::vector<std::string>& loss_names() {
  static const std::vector<std::string> names = {"dice", "log-dice", "bce", "ce"};
  return names;
}

std::string checked_name(const ConfigNode& node, const std::string& name) {
  for (const std::string& known : loss_names()) {
    if (known == name) {
      return name;
    }
  }
  refuse(node, kKey, "has no loss " + toml_quote(name) + suggestion(name, loss_names()));
}

std::array<double, 2> smooth_of(const ConfigNode& node) {
  const std::string key = kKey + ".smooth";
  const Bounds bounds{0.0, kInfinity};
  if (const auto* array = std::get_if<ConfigNode::Array>(&node.value)) {
    if (array->size() != 2) {
      refuse(node, key, "must be a number or [numerator, denominator]");
    }
    const std::array<double, 2> smooth = {number_of((*array)[0], key), number_of((*array)[1], key)};
    bounds.check(node, key, smooth[0]);
    bounds.check(node, key, smooth[1]);
    return smooth;
  }
  const double smooth = number_of(node, key);
  bounds.check(node, key, smooth);
  return {smooth, smooth};
}

LossTermConfig term_of(const ConfigNode& node) {
  static const std::vector<std::string> kFields = {"name", "weight", "pooled", "smooth",
                                                   "label_smoothing"};
  const auto* table = std::get_if<ConfigNode::Table>(&node.value);
  if (table == nullptr) {
    wrong_type(node, kKey, "\"dice+bce\" or a list of tables { name = \"dice\", weight = 0.7 }");
  }
  LossTermConfig term;
  for (const ConfigEntry& entry : *table) {
    if (entry.key == "name") {
      term.name = checked_name(entry.node, text_of(entry.node, kKey + ".name"));
    } else if (entry.key == "weight") {
      term.weight = number_of(entry.node, kKey + ".weight");
      Bounds{0.0, kInfinity}.check(entry.node, kKey + ".weight", term.weight);
    } else if (entry.key == "pooled") {
      term.pooled = boolean_of(entry.node, kKey + ".pooled");
    } else if (entry.key == "smooth") {
      term.smooth = smooth_of(entry.node);
    } else if (entry.key == "label_smoothing") {
      term.label_smoothing = number_of(entry.node, kKey + ".label_smoothing");
      Bounds{0.0, 1.0}.check(entry.node, kKey + ".label_smoothing", term.label_smoothing);
    } else {
      throw ConfigError(entry.node.where + ": unknown key \"" + kKey + "." + entry.key + "\"" +
                        suggestion(entry.key, kFields));
    }
  }
  if (term.name.empty()) {
    refuse(node, kKey, "has a term without name; known: dice, log-dice, bce, ce");
  }
  return term;
}

std::vector<LossTermConfig> short_form(const ConfigNode& node, const std::string& text) {
  std::vector<LossTermConfig> terms;
  if (text == "auto") {
    return terms;
  }
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('+', begin), text.size());
    LossTermConfig term;
    term.name = checked_name(node, text.substr(begin, end - begin));
    terms.push_back(std::move(term));
    begin = end + 1;
  }
  for (LossTermConfig& term : terms) {
    term.weight = 1.0 / static_cast<double>(terms.size());
  }
  return terms;
}

void read_loss(const ConfigNode& node, RunConfig& config) {
  std::vector<LossTermConfig> terms;
  if (const auto* text = std::get_if<std::string>(&node.value)) {
    terms = short_form(node, *text);
  } else if (const auto* array = std::get_if<ConfigNode::Array>(&node.value)) {
    for (const ConfigNode& item : *array) {
      terms.push_back(term_of(item));
    }
    if (terms.empty()) {
      refuse(node, kKey, "is empty; leave it out or write \"auto\" for the default");
    }
  } else {
    terms.push_back(term_of(node));
  }
  config.train.loss = std::move(terms);
}

std::string write_loss(const RunConfig& config) {
  if (config.train.loss.empty()) {
    return "\"auto\"";
  }
  std::string result;
  for (const LossTermConfig& term : config.train.loss) {
    result += result.empty() ? "[" : ", ";
    result += "{ name = " + toml_quote(term.name) + ", weight = " + toml_number(term.weight) +
              ", pooled = " + (term.pooled ? "true" : "false") + ", smooth = [" +
              toml_number(term.smooth[0]) + ", " + toml_number(term.smooth[1]) +
              "], label_smoothing = " + toml_number(term.label_smoothing) + " }";
  }
  return result + "]";
}

}  // namespace

ConfigRule loss_rule() {
  return {
      {kKey, "\"auto\", \"dice+bce\" or list of { name, weight, pooled, smooth, label_smoothing }",
       "",
       "Terms of the loss: dice, log-dice, bce, ce. \"a+b\" gives equal weights that sum to 1. "
       "\"auto\" is dice + ce when data.target is \"labels\", dice + bce when it names regions. "
       "pooled: sums over the batch before the ratio; smooth: added to numerator and "
       "denominator (one number for both)"},
      read_loss,
      write_loss,
      always};
}

}  // namespace wholemount
