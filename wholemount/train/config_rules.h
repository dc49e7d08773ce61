#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "wholemount/base/error.h"
#include "wholemount/base/nearest_name.h"
#include "wholemount/train/config_schema.h"

// Makers of schema entries by type. `member` is a generic lambda from a (const) RunConfig to the
// field: [](auto& c) -> auto& { return c.train.epochs; }. Private to the schema's sources.
namespace wholemount::config_rules {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

[[noreturn]] inline void refuse(const ConfigNode& node, const std::string& key,
                                const std::string& what) {
  throw ConfigError(node.where + ": " + key + " " + what);
}

[[noreturn]] inline void wrong_type(const ConfigNode& node, const std::string& key,
                                    const std::string& wanted) {
  refuse(node, key, "must be " + wanted + ", found " + node.type_name());
}

inline const std::string& text_of(const ConfigNode& node, const std::string& key,
                                  const std::string& wanted = "a text") {
  const auto* text = std::get_if<std::string>(&node.value);
  if (text == nullptr) {
    wrong_type(node, key, wanted);
  }
  return *text;
}

inline double number_of(const ConfigNode& node, const std::string& key) {
  double number = 0.0;
  if (const auto* floating = std::get_if<double>(&node.value)) {
    number = *floating;
  } else if (const auto* integer = std::get_if<int64_t>(&node.value)) {
    number = static_cast<double>(*integer);
  } else {
    wrong_type(node, key, "a number");
  }
  if (!std::isfinite(number)) {
    refuse(node, key, "must be finite");
  }
  return number;
}

inline bool boolean_of(const ConfigNode& node, const std::string& key) {
  const auto* boolean = std::get_if<bool>(&node.value);
  if (boolean == nullptr) {
    wrong_type(node, key, "true or false");
  }
  return *boolean;
}

inline int64_t integer_of(const ConfigNode& node, const std::string& key, int64_t least,
                          int64_t most) {
  const auto* integer = std::get_if<int64_t>(&node.value);
  if (integer == nullptr) {
    wrong_type(node, key, "an integer");
  }
  if (*integer < least || *integer > most) {
    refuse(node, key,
           "must be between " + std::to_string(least) + " and " + std::to_string(most) +
               ", found " + std::to_string(*integer));
  }
  return *integer;
}

/// Allowed numbers: least (itself excluded when `above`) to most.
struct Bounds {
  double least = -kInfinity;
  double most = kInfinity;
  bool above = false;
  [[nodiscard]] std::string text() const {
    std::string result = "number";
    if (least > -kInfinity) {
      result += (above ? " > " : " >= ") + toml_number(least);
    }
    if (most < kInfinity) {
      result +=
          (least > -kInfinity ? std::string(", <= ") : std::string(" <= ")) + toml_number(most);
    }
    return result;
  }
  void check(const ConfigNode& node, const std::string& key, double number) const {
    if (number < least || number > most || (above && number == least)) {
      refuse(node, key, "must be a " + text() + ", found " + toml_number(number));
    }
  }
};

inline bool always(const RunConfig& /*config*/) { return true; }
inline bool never(const RunConfig& /*config*/) { return false; }

template <class Member>
ConfigRule integer(const std::string& name, Member member, std::pair<int64_t, int64_t> range,
                   const std::string& meaning) {
  return {{name, "integer >= " + std::to_string(range.first), "", meaning},
          [=](const ConfigNode& node, RunConfig& c) {
            member(c) = integer_of(node, name, range.first, range.second);
          },
          [=](const RunConfig& c) { return std::to_string(member(c)); },
          always};
}

/// An optional integer; `keyword` (e.g. "auto") stands for none and is what is written for it.
template <class Member>
ConfigRule integer_or(const std::string& name, Member member, int64_t least,
                      const std::string& keyword, const std::string& meaning) {
  return {{name, "integer >= " + std::to_string(least) + " or \"" + keyword + "\"", "", meaning},
          [=](const ConfigNode& node, RunConfig& c) {
            const auto* text = std::get_if<std::string>(&node.value);
            if (text != nullptr && *text == keyword) {
              member(c).reset();
            } else if (text != nullptr) {
              wrong_type(node, name, "an integer or \"" + keyword + "\"");
            } else {
              member(c) = integer_of(node, name, least, int64_t{1} << 40);
            }
          },
          [=](const RunConfig& c) {
            return member(c) ? std::to_string(*member(c)) : toml_quote(keyword);
          },
          always};
}

template <class Member>
ConfigRule number(const std::string& name, Member member, Bounds bounds,
                  const std::string& meaning) {
  return {{name, bounds.text(), "", meaning},
          [=](const ConfigNode& node, RunConfig& c) {
            const double value = number_of(node, name);
            bounds.check(node, name, value);
            member(c) = value;
          },
          [=](const RunConfig& c) { return toml_number(member(c)); },
          always};
}

template <class Member>
ConfigRule boolean(const std::string& name, Member member, const std::string& meaning) {
  return {{name, "boolean", "", meaning},
          [=](const ConfigNode& node, RunConfig& c) { member(c) = boolean_of(node, name); },
          [=](const RunConfig& c) { return std::string(member(c) ? "true" : "false"); },
          always};
}

template <class Member>
ConfigRule text(const std::string& name, Member member, const std::string& meaning) {
  return {{name, "text", "", meaning},
          [=](const ConfigNode& node, RunConfig& c) { member(c) = text_of(node, name); },
          [=](const RunConfig& c) { return toml_quote(member(c)); },
          always};
}

/// A list of texts; a single text is a list of one and is written as such.
template <class Member>
ConfigRule texts(const std::string& name, Member member, const std::string& meaning) {
  return {{name, "text or list of texts", "", meaning},
          [=](const ConfigNode& node, RunConfig& c) {
            std::vector<std::string> list;
            if (const auto* array = std::get_if<ConfigNode::Array>(&node.value)) {
              for (const ConfigNode& item : *array) {
                list.push_back(text_of(item, name, "a list of texts"));
              }
            } else {
              list.push_back(text_of(node, name, "a text or a list of texts"));
            }
            member(c) = std::move(list);
          },
          [=](const RunConfig& c) {
            const std::vector<std::string>& list = member(c);
            if (list.size() == 1) {
              return toml_quote(list.front());
            }
            std::string result = "[";
            for (size_t i = 0; i < list.size(); ++i) {
              result += (i == 0 ? "" : ", ") + toml_quote(list[i]);
            }
            return result + "]";
          },
          always};
}

/// One of named values.
template <class Enum>
using Choices = std::vector<std::pair<std::string, Enum>>;

template <class Enum, class Member>
ConfigRule choice(const std::string& name, Member member, const Choices<Enum>& choices,
                  const std::string& meaning) {
  std::string type = "one of";
  std::vector<std::string> names;
  for (const auto& [choice_name, value] : choices) {
    type += (names.empty() ? " " : ", ") + toml_quote(choice_name);
    names.push_back(choice_name);
  }
  return {{name, type, "", meaning},
          [=](const ConfigNode& node, RunConfig& c) {
            const std::string& found = text_of(node, name, type);
            for (const auto& [choice_name, value] : choices) {
              if (choice_name == found) {
                member(c) = value;
                return;
              }
            }
            refuse(node, name,
                   "must be " + type + ", found " + toml_quote(found) + suggestion(found, names));
          },
          [=](const RunConfig& c) {
            for (const auto& [choice_name, value] : choices) {
              if (value == member(c)) {
                return toml_quote(choice_name);
              }
            }
            return std::string();
          },
          always};
}

}  // namespace wholemount::config_rules
