#include <algorithm>
#include <cstdio>

#include "cli/info_report.h"
#include "wholemount/base/terminal.h"
#include "wholemount/data/dataset.h"
#include "wholemount/data/dataset_survey.h"

namespace wholemount::cli {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kShapeRows = 8;
constexpr size_t kProblemRows = 10;
// Enough for an impression of intensities and volumes within seconds.
constexpr int64_t kCasesReadUnchecked = 5;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json(nullptr);
}

void add_description(const Dataset& dataset, InfoReport& report) {
  Json& json = report.json;
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
  auto& rows = report.rows;
  rows.emplace_back("name", dataset.name);
  rows.emplace_back("layout", layout_name(dataset.layout));
  rows.emplace_back("cases", std::to_string(dataset.cases.size()) + " with labels, " +
                                 std::to_string(dataset.unlabelled.size()) + " without");
  rows.emplace_back("channels", joined(dataset.channel_names));
  rows.emplace_back("labels", joined(labels));
  for (const NamedRegion& region : dataset.regions) {
    rows.emplace_back("region", region.name + " " + format_list(region.values));
  }
  if (dataset.ignored_label) {
    rows.emplace_back("ignored", "label " + std::to_string(*dataset.ignored_label));
  }
}

void add_shapes(const DatasetSurvey& survey, InfoReport& report) {
  std::vector<std::pair<std::array<int64_t, 3>, int64_t>> shapes(survey.shapes.begin(),
                                                                 survey.shapes.end());
  std::stable_sort(shapes.begin(), shapes.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  report.json["shapes"] = Json::array();
  for (const auto& [shape, cases] : shapes) {
    report.json["shapes"].push_back({{"shape", shape}, {"cases", cases}});
  }
  if (!survey.sizes || !survey.spacings_mm) return;
  const AxisRange& sizes = *survey.sizes;
  const AxisRange& spacings = *survey.spacings_mm;
  report.json["smallest_size"] = sizes.smallest;
  report.json["largest_size"] = sizes.largest;
  report.json["smallest_spacing_mm"] = spacings.smallest;
  report.json["largest_spacing_mm"] = spacings.largest;
  report.rows.emplace_back(
      "sizes", format_list(sizes.smallest) + " to " + format_list(sizes.largest) + " (d, h, w)");
  report.rows.emplace_back(
      "spacing", format_list(spacings.smallest) + " to " + format_list(spacings.largest) + " mm");
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

Json percentiles_json(const std::vector<double>& values) {
  Json json = Json::object();
  for (size_t i = 0; i < values.size(); ++i) json[format_number(kSurveyPercents[i])] = values[i];
  return json;
}

void add_intensities(const DatasetSurvey& survey, InfoReport& report) {
  report.json["intensities"] = Json::array();
  for (const ChannelSurvey& channel : survey.channels) {
    report.json["intensities"].push_back(
        {{"channel", channel.name},
         {"min", number_or_null(channel.minimum)},
         {"max", number_or_null(channel.maximum)},
         {"mean", number_or_null(channel.mean)},
         {"voxels", channel.voxels},
         {"zeros", channel.zeros},
         {"non_finite", channel.non_finite},
         {"percentiles", percentiles_json(channel.percentiles)},
         {"percentiles_nonzero", percentiles_json(channel.percentiles_nonzero)}});
    std::string text = "no finite voxel";
    if (channel.mean) {
      text = format_number(*channel.minimum) + " to " + format_number(*channel.maximum) +
             ", mean " + format_number(*channel.mean) + ", " +
             format_number(100.0 * static_cast<double>(channel.zeros) /
                           static_cast<double>(channel.voxels)) +
             " % zeros";
      if (!channel.percentiles_nonzero.empty()) {
        text += "; of the others " + format_list(channel.percentiles_nonzero) + " at " +
                format_list(kSurveyPercents) + " %";
      }
    }
    report.rows.emplace_back("values of " + channel.name, text);
  }
}

void add_label_volumes(const DatasetSurvey& survey, InfoReport& report) {
  report.json["label_volumes"] = Json::array();
  for (const LabelSurvey& label : survey.labels) {
    const auto millilitres = [&](double value) { return label.cases > 0 ? Json(value) : Json(); };
    report.json["label_volumes"].push_back({{"label", label.value},
                                            {"name", label.name},
                                            {"declared", !label.name.empty()},
                                            {"cases", label.cases},
                                            {"voxels", label.voxels},
                                            {"smallest_ml", millilitres(label.smallest_ml)},
                                            {"mean_ml", millilitres(label.mean_ml)},
                                            {"largest_ml", millilitres(label.largest_ml)}});
    std::string text = "in no case that was read";
    if (label.cases > 0) {
      text = "in " + std::to_string(label.cases) + " cases, " + std::to_string(label.voxels) +
             " voxels; " + format_number(label.smallest_ml) + " to " +
             format_number(label.largest_ml) + " ml, mean " + format_number(label.mean_ml);
    }
    report.rows.emplace_back("label " + std::to_string(label.value), text);
  }
}

void add_problems(const DatasetSurvey& survey, InfoReport& report) {
  report.json["problems"] = Json::array();
  size_t refused = 0;
  for (const DatasetProblem& problem : survey.problems) {
    report.json["problems"].push_back(
        {{"case", problem.case_id}, {"message", problem.message}, {"refused", problem.refused}});
    refused += problem.refused ? 1 : 0;
    if (problem.refused && !report.problem) report.problem = problem.message;
  }
  report.rows.emplace_back("problems", survey.problems.empty()
                                           ? "none found"
                                           : std::to_string(survey.problems.size()) + ", " +
                                                 std::to_string(refused) +
                                                 " of which training would refuse");
  for (size_t i = 0; i < std::min(survey.problems.size(), kProblemRows); ++i) {
    const DatasetProblem& problem = survey.problems[i];
    report.rows.emplace_back("", (problem.refused ? "refused: " : "note: ") + problem.message);
  }
  if (survey.problems.size() > kProblemRows) {
    report.rows.emplace_back("", "and " + std::to_string(survey.problems.size() - kProblemRows) +
                                     " more (--json lists all)");
  }
  if (report.problem && refused > 1) {
    *report.problem += " (and " + std::to_string(refused - 1) + " more problems)";
  }
}

}  // namespace

InfoReport describe_dataset(const std::string& path, const DatasetInfoOptions& options) {
  const Dataset dataset = open_dataset(path);
  InfoReport report;
  report.kind = "data set";
  report.json["path"] = path;
  report.json["kind"] = "dataset";
  add_description(dataset, report);
  SurveySpec spec;
  if (!options.check) spec.most_cases = kCasesReadUnchecked;
  if (options.check && stderr_is_terminal()) {
    spec.progress = [](int64_t done, int64_t of) {
      std::fprintf(stderr, "\rread %lld of %lld cases%s", static_cast<long long>(done),
                   static_cast<long long>(of), done == of ? "\n" : "");
    };
  }
  ThreadPool pool(options.threads);
  const DatasetSurvey survey = survey_dataset(dataset, spec, pool);
  const auto all = static_cast<int64_t>(dataset.cases.size() + dataset.unlabelled.size());
  report.json["cases_read"] = survey.cases_read;
  report.json["voxels_read"] = survey.voxels_read;
  add_shapes(survey, report);
  report.rows.emplace_back("read", "every header; the voxels of " +
                                       std::to_string(survey.cases_read) + " of " +
                                       std::to_string(all) + " cases" +
                                       (survey.cases_read < all ? " (--check reads all)" : ""));
  add_intensities(survey, report);
  add_label_volumes(survey, report);
  add_problems(survey, report);
  return report;
}

}  // namespace wholemount::cli
