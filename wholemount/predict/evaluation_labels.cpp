#include "wholemount/predict/evaluation_labels.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/data/dataset.h"
#include "wholemount/data/target.h"

namespace wholemount {

namespace {

// "2" or "1+2"; nothing when the text is a name. Throws for numbers that are no label.
std::optional<std::vector<uint8_t>> parse_values(const std::string& text) {
  if (text.empty() || text.find_first_not_of("0123456789+") != std::string::npos) {
    return std::nullopt;
  }
  std::vector<uint8_t> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    uint8_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || (next != end && *next != '+')) {
      throw ConfigError("--labels " + text +
                        ": wanted values from 0 to 255, joined by + for a region, e.g. 1+2");
    }
    values.push_back(value);
    if (next == end) return values;
    at = next + 1;
  }
}

Dataset dataset_of(const std::string& references, const std::string& name) {
  const std::filesystem::path start = std::filesystem::absolute(references).lexically_normal();
  std::filesystem::path folder = start.has_filename() ? start : start.parent_path();
  for (int level = 0; level < 3; ++level, folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / "dataset.json")) return open_dataset(folder.string());
  }
  throw ConfigError("--labels " + name + ": " + references +
                    " belongs to no data set (no dataset.json in it or the two folders above), so "
                    "names are unknown; give label values, e.g. --labels 1,2");
}

}  // namespace

std::vector<EvaluationLabel> parse_evaluation_labels(const std::vector<std::string>& texts,
                                                     const std::string& references) {
  std::vector<EvaluationLabel> labels;
  std::optional<Dataset> dataset;
  for (const std::string& text : texts) {
    if (auto values = parse_values(text)) {
      labels.push_back(make_evaluation_label(std::move(*values)));
      continue;
    }
    if (!dataset) dataset = dataset_of(references, text);
    const TargetDefinition target = make_target(*dataset, {text});
    for (const TargetRegion& output : target.outputs) {
      if (text == "labels" && output.values == std::vector<uint8_t>{0}) continue;
      labels.push_back(make_evaluation_label(output.values, output.name));
    }
  }
  for (size_t i = 1; i < labels.size(); ++i) {
    const auto same = [&](const EvaluationLabel& label) { return label.key == labels[i].key; };
    const auto end = labels.begin() + static_cast<std::ptrdiff_t>(i);
    if (const auto first = std::find_if(labels.begin(), end, same); first != end) {
      throw ConfigError("--labels: " + labels[i].name + " and " + first->name +
                        " are the same label " + labels[i].key + "; give it once");
    }
  }
  return labels;
}

}  // namespace wholemount
