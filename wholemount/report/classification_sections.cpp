#include "wholemount/report/classification_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <vector>

#include "wholemount/base/checked.h"
#include "wholemount/image/png_writer.h"
#include "wholemount/image/volume_reader.h"
#include "wholemount/report/base64.h"
#include "wholemount/report/markup.h"

namespace wholemount {

namespace {

constexpr int64_t kExampleWidth = 240;
constexpr double kBarWidth = 220;

std::string head(const std::string& text) { return text_element("th", {{"scope", "col"}}, text); }
std::string number_head(const std::string& text) {
  return text_element("th", {{"class", "n"}, {"scope", "col"}}, text);
}
std::string number_cell(int64_t number) {
  return text_element("td", {{"class", "n"}}, std::to_string(number));
}

std::vector<int64_t> class_counts(const DataJob& data, const std::vector<int64_t>& part) {
  std::vector<int64_t> counts(data.dataset.classes.size(), 0);
  for (const int64_t index : part) {
    ++counts[static_cast<size_t>(data.dataset.cases[static_cast<size_t>(index)].class_index)];
  }
  return counts;
}

std::string bar(int64_t count, int64_t most) {
  const double width =
      most > 0 ? kBarWidth * static_cast<double>(count) / static_cast<double>(most) : 0.0;
  return element("svg",
                 {{"width", coordinate(kBarWidth)},
                  {"height", "12"},
                  {"role", "img"},
                  {"aria-label", std::to_string(count) + " images"}},
                 empty_element("rect", {{"width", coordinate(width)},
                                        {"height", "12"},
                                        {"fill", "currentColor"},
                                        {"opacity", "0.6"}}));
}

std::string split_text(const SplitConfig& split) {
  const std::string kept =
      split.by == "copy" ? "Augmented copies were divided singly."
      : split.by == "case"
          ? "Images were divided singly, so images of one well can stand on both sides."
          : "Images of one " + split.by + " are never divided between the parts.";
  if (!split.hold_out.empty()) return kept + " Held out: " + split.hold_out + ".";
  if (split.folds) {
    return kept +
           fmt::format(" Fold {} of {} (counted from 0) validates.", split.fold, *split.folds);
  }
  return kept;
}

/// One channel reduced by block means, as grey values between its 1st and 99th percentile.
IndexedImage thumbnail(const ChannelFile& file) {
  const std::unique_ptr<VolumeReader> reader = open_volume(file.path);
  const Extent3& extent = reader->header().extent;
  const int64_t block = divide_up(extent.w, kExampleWidth);
  IndexedImage image;
  image.width = divide_up(extent.w, block);
  image.height = divide_up(extent.h, block);
  std::vector<double> means(static_cast<size_t>(image.width * image.height), 0.0);
  std::vector<float> row(static_cast<size_t>(extent.w));
  const int64_t middle = extent.d / 2;
  for (int64_t h = 0; h < extent.h; ++h) {
    reader->read_run({file.channel, (middle * extent.h + h) * extent.w, extent.w}, row);
    const int64_t rows = std::min(block, extent.h - h / block * block);
    for (int64_t w = 0; w < extent.w; ++w) {
      const int64_t columns = std::min(block, extent.w - w / block * block);
      means[static_cast<size_t>(h / block * image.width + w / block)] +=
          static_cast<double>(row[static_cast<size_t>(w)]) / static_cast<double>(rows * columns);
    }
  }
  std::vector<double> sorted = means;
  std::sort(sorted.begin(), sorted.end());
  const double low = sorted[sorted.size() / 100];
  const double high = sorted[sorted.size() - 1 - sorted.size() / 100];
  for (const double mean : means) {
    const double share = high > low ? (mean - low) / (high - low) : 0.0;
    image.pixels.push_back(static_cast<uint8_t>(std::lround(255 * std::clamp(share, 0.0, 1.0))));
  }
  return image;
}

}  // namespace

std::string leak_warning(bool leaks) {
  return leaks ? text_element("p", {{"class", "warning"}, {"role", "alert"}}, kLeakWarning) : "";
}

std::string class_distribution_section(const DataJob& data) {
  const std::array<std::vector<int64_t>, 3> counts{class_counts(data, data.split.train),
                                                   class_counts(data, data.split.validation),
                                                   class_counts(data, data.split.test)};
  int64_t most = 0;
  for (size_t k = 0; k < data.dataset.classes.size(); ++k) {
    most = std::max(most, counts[0][k] + counts[1][k] + counts[2][k]);
  }
  std::string rows =
      element("tr", head("class") + number_head("training") + number_head("validation") +
                        number_head("test") + number_head("all") + head(""));
  for (size_t k = 0; k < data.dataset.classes.size(); ++k) {
    rows += element("tr", text_element("th", {{"scope", "row"}}, data.dataset.classes[k]) +
                              number_cell(counts[0][k]) + number_cell(counts[1][k]) +
                              number_cell(counts[2][k]) +
                              number_cell(counts[0][k] + counts[1][k] + counts[2][k]) +
                              element("td", bar(counts[0][k] + counts[1][k] + counts[2][k], most)));
  }
  return element("section", text_element("h2", "Classes") +
                                text_element("p", split_text(data.job.config.data.split)) +
                                leak_warning(data.leaks) +
                                element("div", {{"class", "scroll"}, {"tabindex", "0"}},
                                        element("table", {{"class", "counts"}}, rows)));
}

std::string example_images_section(const DataJob& data) {
  std::string figures;
  for (size_t k = 0; k < data.dataset.classes.size(); ++k) {
    const auto found = std::find_if(
        data.dataset.cases.begin(), data.dataset.cases.end(),
        [&](const Case& image) { return image.class_index == static_cast<int64_t>(k); });
    if (found == data.dataset.cases.end()) continue;
    std::string pictures;
    for (const int64_t channel : data.train_load.channels) {
      const auto index = static_cast<size_t>(channel);
      const std::string png = encode_png(thumbnail(found->channels[index]));
      pictures += empty_element(
          "img", {{"src", "data:image/png;base64," + encode_base64(png)},
                  {"alt", data.dataset.classes[k] + ", " + data.dataset.channel_names[index]},
                  {"loading", "lazy"}});
    }
    figures += element(
        "figure", element("div", pictures) +
                      text_element("figcaption", data.dataset.classes[k] + " (" + found->id + ")"));
  }
  std::string channels;
  for (const int64_t channel : data.train_load.channels) {
    channels +=
        (channels.empty() ? "" : ", ") + data.dataset.channel_names[static_cast<size_t>(channel)];
  }
  return element("section",
                 text_element("h2", "One image of each class") +
                     text_element("p", "Channels side by side: " + channels +
                                           "; each reduced, and stretched between its 1st and "
                                           "99th percentile.") +
                     element("div", {{"class", "examples"}}, figures));
}

std::string confusion_section(const RunRecord& run, const DataJob& data) {
  if (run.evaluations.empty() || run.evaluations.back().confusion.empty()) return {};
  const LoggedEvaluation& last = run.evaluations.back();
  const std::vector<std::string>& names = data.job.task.outputs;
  std::string rows = head("class") + number_head("recall");
  for (size_t k = 0; k < names.size(); ++k) rows += number_head(std::to_string(k + 1));
  rows = element("tr", rows);
  for (size_t truth = 0; truth < last.confusion.size(); ++truth) {
    int64_t all = 0;
    for (const int64_t count : last.confusion[truth]) all += count;
    const std::string name = truth < names.size() ? names[truth] : "?";
    std::string cells =
        text_element("th", {{"scope", "row"}}, std::to_string(truth + 1) + " " + name);
    cells += text_element(
        "td", {{"class", "n"}},
        all > 0 ? fmt::format("{:.3f}", static_cast<double>(last.confusion[truth][truth]) /
                                            static_cast<double>(all))
                : std::string("-"));
    for (size_t called = 0; called < last.confusion[truth].size(); ++called) {
      const int64_t count = last.confusion[truth][called];
      const double share = all > 0 ? static_cast<double>(count) / static_cast<double>(all) : 0.0;
      const char* colour = called == truth ? "46,120,190" : "200,80,40";
      cells +=
          text_element("td",
                       {{"class", "n"},
                        {"style", fmt::format("background: rgba({},{:.2f})", colour, 0.6 * share)}},
                       count > 0 ? std::to_string(count) : std::string("."));
    }
    rows += element("tr", cells);
  }
  return element(
      "section",
      text_element("h2", "Confusion matrix") +
          text_element("p", fmt::format("Validation images after epoch {}: rows are true classes, "
                                        "columns what the images were called.",
                                        last.epoch)) +
          leak_warning(data.leaks) +
          element("div", {{"class", "scroll"}, {"tabindex", "0"}},
                  element("table", {{"class", "matrix"}}, rows)));
}

LineChart accuracy_chart(const RunRecord& run, double x_end) {
  LineChart chart{run.split_leaks ? "Accuracy on validation images of a LEAKING split"
                                  : "Accuracy on validation images",
                  "update",
                  "share of images right",
                  {},
                  x_end,
                  false,
                  false};
  for (const char* name : {"top-1", "top-5", "balanced"}) {
    ChartSeries series{name, {}, ChartSeries::Style::marked, static_cast<int>(chart.series.size())};
    for (const LoggedEvaluation& evaluation : run.evaluations) {
      const auto found = evaluation.metrics.find(name);
      if (found != evaluation.metrics.end()) {
        series.points.push_back({static_cast<double>(evaluation.step), found->second});
      }
    }
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  return chart;
}

}  // namespace wholemount
