#include "wholemount/data/dataset_survey.h"

#include <algorithm>
#include <iterator>

#include "wholemount/data/case_survey.h"
#include "wholemount/data/value_histogram.h"

namespace wholemount {

namespace {

constexpr int kMostLanes = 8;
constexpr double kCubicMillimetresPerMillilitre = 1000.0;

std::vector<const Case*> all_cases(const Dataset& dataset) {
  std::vector<const Case*> cases;
  for (const auto* part : {&dataset.cases, &dataset.unlabelled}) {
    for (const Case& subject : *part) cases.push_back(&subject);
  }
  return cases;
}

/// Indices of the cases to read: spread evenly, the first included.
std::vector<size_t> chosen_cases(size_t cases, const std::optional<int64_t>& most) {
  const size_t count =
      most ? std::min(cases, static_cast<size_t>(std::max<int64_t>(0, *most))) : cases;
  std::vector<size_t> chosen;
  for (size_t i = 0; i < count; ++i) chosen.push_back(i * cases / count);
  return chosen;
}

void extend(std::optional<AxisRange>* range, const std::array<double, 3>& sizes) {
  if (!*range) *range = AxisRange{sizes, sizes};
  for (size_t axis = 0; axis < 3; ++axis) {
    (*range)->smallest[axis] = std::min((*range)->smallest[axis], sizes[axis]);
    (*range)->largest[axis] = std::max((*range)->largest[axis], sizes[axis]);
  }
}

void add_shapes(const std::vector<CaseSurvey>& surveys, DatasetSurvey* result) {
  for (const CaseSurvey& survey : surveys) {
    if (!survey.extent) continue;
    const Extent3& extent = *survey.extent;
    ++result->shapes[{extent.d, extent.h, extent.w}];
    extend(&result->sizes, {static_cast<double>(extent.d), static_cast<double>(extent.h),
                            static_cast<double>(extent.w)});
    extend(&result->spacings_mm, survey.spacing_mm);
  }
}

ChannelSurvey channel_survey(const std::vector<CaseSurvey>& surveys, size_t channel,
                             const ValueHistogram& histogram) {
  ChannelTally all;
  for (const CaseSurvey& survey : surveys) {
    const ChannelTally& tally = survey.channels[channel];
    all.voxels += tally.voxels;
    all.non_finite += tally.non_finite;
    all.minimum = std::min(all.minimum, tally.minimum);
    all.maximum = std::max(all.maximum, tally.maximum);
    all.sum += tally.sum;
  }
  ChannelSurvey result;
  result.voxels = all.voxels;
  result.non_finite = all.non_finite;
  result.zeros = histogram.zeros();
  if (const int64_t finite = all.voxels - all.non_finite; finite > 0) {
    result.minimum = static_cast<double>(all.minimum);
    result.maximum = static_cast<double>(all.maximum);
    result.mean = all.sum / static_cast<double>(finite);
  }
  result.percentiles = histogram.percentiles(kSurveyPercents, false);
  result.percentiles_nonzero = histogram.percentiles(kSurveyPercents, true);
  return result;
}

std::string label_name(const Dataset& dataset, int64_t value) {
  for (const LabelName& label : dataset.labels) {
    if (label.value == value) return label.name;
  }
  return dataset.ignored_label == value ? "ignore" : "";
}

void add_label(const std::vector<CaseSurvey>& surveys, LabelSurvey label, DatasetSurvey* result) {
  for (const CaseSurvey& survey : surveys) {
    if (!survey.label_voxels) continue;
    const int64_t voxels = (*survey.label_voxels)[static_cast<size_t>(label.value)];
    if (voxels == 0) continue;
    const std::array<double, 3>& spacing = survey.spacing_mm;
    const double millilitres = static_cast<double>(voxels) * spacing[0] * spacing[1] * spacing[2] /
                               kCubicMillimetresPerMillilitre;
    label.smallest_ml = label.cases == 0 ? millilitres : std::min(label.smallest_ml, millilitres);
    label.largest_ml = std::max(label.largest_ml, millilitres);
    label.mean_ml += millilitres;  // the sum until the end
    label.voxels += voxels;
    ++label.cases;
  }
  if (label.cases > 0) label.mean_ml /= static_cast<double>(label.cases);
  result->labels.push_back(std::move(label));
}

void add_labels(const Dataset& dataset, const std::vector<CaseSurvey>& surveys, bool all_read,
                DatasetSurvey* result) {
  bool any_map = false;
  std::array<bool, 256> seen{};
  for (const CaseSurvey& survey : surveys) {
    if (!survey.label_voxels) continue;
    any_map = true;
    for (size_t value = 0; value < seen.size(); ++value) {
      seen[value] = seen[value] || (*survey.label_voxels)[value] > 0;
    }
  }
  if (!any_map) return;
  for (size_t value = 0; value < seen.size(); ++value) {
    const auto number = static_cast<int64_t>(value);
    const std::string name = label_name(dataset, number);
    if (!seen[value] && name.empty()) continue;
    if (all_read && !seen[value]) {
      result->problems.push_back({"",
                                  "no label map holds the label " + std::to_string(value) + " (" +
                                      name + "), which the data set declares",
                                  false});
    }
    LabelSurvey label;
    label.value = number;
    label.name = name;
    add_label(surveys, std::move(label), result);
  }
}

}  // namespace

DatasetSurvey survey_dataset(const Dataset& dataset, const SurveySpec& spec, ThreadPool& pool) {
  const std::vector<const Case*> cases = all_cases(dataset);
  const size_t num_channels = dataset.channel_names.size();
  std::vector<CaseSurvey> surveys(cases.size());
  pool.run(static_cast<int64_t>(cases.size()), [&](int64_t task, int) {
    surveys[static_cast<size_t>(task)] = survey_headers(*cases[static_cast<size_t>(task)]);
  });

  const std::vector<size_t> chosen = chosen_cases(cases.size(), spec.most_cases);
  const size_t lanes =
      std::min({chosen.size(), static_cast<size_t>(pool.num_threads()), size_t{kMostLanes}});
  std::vector<std::vector<ValueHistogram>> histograms(std::max<size_t>(lanes, 1),
                                                      std::vector<ValueHistogram>(num_channels));
  for (size_t first = 0; first < chosen.size(); first += lanes) {
    const size_t count = std::min(lanes, chosen.size() - first);
    pool.run(static_cast<int64_t>(count), [&](int64_t task, int) {
      const auto lane = static_cast<size_t>(task);
      const size_t index = chosen[first + lane];
      survey_voxels(*cases[index], dataset, histograms[lane], &surveys[index]);
    });
    if (spec.progress) {
      spec.progress(static_cast<int64_t>(first + count), static_cast<int64_t>(chosen.size()));
    }
  }

  DatasetSurvey result;
  result.cases_read = static_cast<int64_t>(chosen.size());
  add_shapes(surveys, &result);
  for (size_t channel = 0; channel < num_channels; ++channel) {
    ValueHistogram& all = histograms[0][channel];
    for (size_t lane = 1; lane < lanes; ++lane) all.merge(histograms[lane][channel]);
    result.channels.push_back(channel_survey(surveys, channel, all));
    result.channels.back().name = dataset.channel_names[channel];
    result.voxels_read += result.channels.back().voxels;
  }
  for (CaseSurvey& survey : surveys) {
    std::move(survey.problems.begin(), survey.problems.end(), std::back_inserter(result.problems));
  }
  add_labels(dataset, surveys, chosen.size() == cases.size(), &result);
  return result;
}

}  // namespace wholemount
