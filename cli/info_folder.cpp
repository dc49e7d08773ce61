#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "cli/info_report.h"
#include "wholemount/base/error.h"
#include "wholemount/data/dataset.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount::cli {

namespace {

using Json = nlohmann::ordered_json;
using Shape = std::array<int64_t, 3>;

constexpr size_t kShapeRows = 8;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Smallest and largest size of each axis.
struct SizeRange {
  std::array<double, 3> smallest{};
  std::array<double, 3> largest{};
  bool empty = true;

  template <class T>
  void add(const std::array<T, 3>& sizes) {
    for (size_t axis = 0; axis < 3; ++axis) {
      const auto size = static_cast<double>(sizes[axis]);
      smallest[axis] = empty ? size : std::min(smallest[axis], size);
      largest[axis] = empty ? size : std::max(largest[axis], size);
    }
    empty = false;
  }
};

// What the headers of all cases say.
struct CaseHeaders {
  std::map<Shape, int64_t> shapes;
  SizeRange sizes;
  SizeRange spacings;
};

CaseHeaders read_case_headers(const Dataset& dataset) {
  CaseHeaders result;
  for (const auto* cases : {&dataset.cases, &dataset.unlabelled}) {
    for (const Case& subject : *cases) {
      if (subject.channels.empty()) continue;
      const auto reader = open_volume(subject.channels.front().path);
      const Extent3& extent = reader->header().extent;
      const Shape shape{extent.d, extent.h, extent.w};
      ++result.shapes[shape];
      result.sizes.add(shape);
      result.spacings.add(reader->header().geometry.spacing_mm);
    }
  }
  return result;
}

void add_shapes(const CaseHeaders& headers, InfoReport& report) {
  std::vector<std::pair<Shape, int64_t>> shapes(headers.shapes.begin(), headers.shapes.end());
  std::stable_sort(shapes.begin(), shapes.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  report.json["shapes"] = Json::array();
  for (const auto& [shape, cases] : shapes) {
    report.json["shapes"].push_back({{"shape", shape}, {"cases", cases}});
  }
  if (shapes.empty()) return;
  report.json["smallest_size"] = headers.sizes.smallest;
  report.json["largest_size"] = headers.sizes.largest;
  report.json["smallest_spacing_mm"] = headers.spacings.smallest;
  report.json["largest_spacing_mm"] = headers.spacings.largest;
  report.rows.emplace_back("sizes", format_list(headers.sizes.smallest) + " to " +
                                        format_list(headers.sizes.largest) + " (d, h, w)");
  report.rows.emplace_back("spacing", format_list(headers.spacings.smallest) + " to " +
                                          format_list(headers.spacings.largest) + " mm");
  for (size_t i = 0; i < std::min(shapes.size(), kShapeRows); ++i) {
    report.rows.emplace_back(
        i == 0 ? "shapes" : "",
        format_list(shapes[i].first) + "  " + std::to_string(shapes[i].second) + " cases");
  }
  if (shapes.size() > kShapeRows) {
    report.rows.emplace_back("", "and " + std::to_string(shapes.size() - kShapeRows) +
                                     " more shapes (--json lists all)");
  }
}

std::optional<Json> read_summary(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "summary.json";
  if (!std::filesystem::exists(path)) return std::nullopt;
  std::ifstream file(path);
  if (!file) throw FileError(path.string(), "cannot be opened");
  try {
    Json json = Json::parse(file);
    if (!json.is_object()) throw FileError(path.string(), "is not a JSON object");
    return json;
  } catch (const Json::parse_error& error) {
    throw FileError(path.string(), static_cast<int64_t>(error.byte),
                    "is damaged: not valid JSON; train --resume writes it again");
  }
}

void add_summary(const Json& summary, InfoReport& report) {
  for (const auto& [key, value] : summary.items()) {
    report.json[key] = value;
    if (value.is_object()) {
      for (const auto& [name, inner] : value.items()) {
        report.rows.emplace_back(key + "." + name, inner.dump());
      }
    } else {
      report.rows.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    }
  }
}

}  // namespace

InfoReport describe_dataset(const std::string& path) {
  const Dataset dataset = open_dataset(path);
  InfoReport report;
  report.kind = "data set";
  Json& json = report.json;
  json["path"] = path;
  json["kind"] = "dataset";
  json["layout"] = layout_name(dataset.layout);
  json["name"] = dataset.name;
  json["cases"] = dataset.cases.size();
  json["unlabelled"] = dataset.unlabelled.size();
  json["channels"] = dataset.channel_names;
  json["labels"] = Json::object();
  std::vector<std::string> labels;
  for (const LabelName& label : dataset.labels) {
    json["labels"][std::to_string(label.value)] = label.name;
    labels.push_back(std::to_string(label.value) + " " + label.name);
  }
  if (dataset.ignored_label) json["ignored_label"] = *dataset.ignored_label;
  json["regions"] = Json::object();
  for (const NamedRegion& region : dataset.regions) json["regions"][region.name] = region.values;
  report.rows.emplace_back("name", dataset.name);
  report.rows.emplace_back("layout", layout_name(dataset.layout));
  report.rows.emplace_back("cases", std::to_string(dataset.cases.size()) + " with labels, " +
                                        std::to_string(dataset.unlabelled.size()) + " without");
  report.rows.emplace_back("channels", joined(dataset.channel_names));
  report.rows.emplace_back("labels", joined(labels));
  for (const NamedRegion& region : dataset.regions) {
    report.rows.emplace_back("region", region.name + " " + format_list(region.values));
  }
  if (dataset.ignored_label) {
    report.rows.emplace_back("ignored", "label " + std::to_string(*dataset.ignored_label));
  }
  add_shapes(read_case_headers(dataset), report);
  return report;
}

bool is_run_folder(const std::string& path) {
  const std::filesystem::path folder(path);
  if (!std::filesystem::is_directory(folder)) return false;
  for (const char* name : {"config.toml", "model.safetensors", "log.jsonl", "checkpoint"}) {
    if (std::filesystem::exists(folder / name)) return true;
  }
  return false;
}

InfoReport describe_run(const std::string& path) {
  const std::filesystem::path folder(path);
  InfoReport report;
  report.kind = "run";
  report.json["path"] = path;
  report.json["kind"] = "run";
  if (const std::optional<Json> summary = read_summary(folder)) {
    add_summary(*summary, report);
  } else {
    report.json["status"] = "unfinished";
    report.rows.emplace_back("status", "unfinished: no summary.json yet");
  }
  const bool checkpoint = std::filesystem::exists(folder / "checkpoint");
  report.json["checkpoint"] = checkpoint;
  report.rows.emplace_back("checkpoint", checkpoint ? "yes" : "none");
  const std::string model = (folder / "model.safetensors").string();
  if (std::filesystem::exists(model)) {
    const InfoReport inner = describe_model(model);
    report.json["model"] = inner.json;
    for (const auto& [name, text] : inner.rows) report.rows.emplace_back("model " + name, text);
  }
  return report;
}

}  // namespace wholemount::cli
