#include "wholemount/report/report_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "wholemount/base/memory.h"
#include "wholemount/report/classification_sections.h"
#include "wholemount/report/line_chart.h"
#include "wholemount/report/markup.h"
#include "wholemount/report/memory_bar.h"

namespace wholemount {

namespace {

std::string card(const std::string& name, const std::string& value, const std::string& note) {
  return element("div", text_element("dt", name) +
                            element("dd", escape_markup(value) +
                                              (note.empty() ? "" : text_element("small", note))));
}

std::string fact(const std::string& name, const std::string& value) {
  return element("tr", text_element("th", {{"scope", "row"}}, name) + text_element("td", value));
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string percent_above(double measured, double predicted) {
  return fmt::format("{:+.1f} %", 100 * (measured / predicted - 1));
}

/// "1 epoch", "2 epochs"
std::string counted(int64_t number, const std::string& thing) {
  return std::to_string(number) + " " + thing + (number == 1 ? "" : "s");
}

/// "1,402,003"
std::string grouped_digits(int64_t number) {
  std::string digits = std::to_string(number);
  for (size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string norm_name(NetNorm norm) {
  switch (norm) {
    case NetNorm::none:
      return "no norm";
    case NetNorm::batch:
      return "batch norm";
    case NetNorm::instance:
      return "instance norm";
    case NetNorm::group:
      break;
  }
  return "group norm";
}

std::string network_text(const RunRecord& run) {
  const NetConfig& net = run.config.net;
  std::string text = net.kind == NetKind::unet3d
                         ? fmt::format("3-D U-Net, {} filters, {} levels, {}", net.filters,
                                       net.levels, norm_name(net.norm))
                         : std::string("multi-scale CNN");
  if (run.plan && run.plan->parameters > 0) {
    text += ", " + grouped_digits(run.plan->parameters) + " parameters";
  }
  return text;
}

std::string loss_text(const TrainConfig& train) {
  if (train.loss.empty()) return "automatic: cross-entropy, with Dice where voxels are labelled";
  std::string text;
  for (const LossTermConfig& term : train.loss) {
    text += fmt::format("{}{:g} x {}{}", text.empty() ? "" : " + ", term.weight,
                        term.pooled ? "batch-pooled " : "", term.name);
  }
  return text;
}

/// A value of the resolved configuration as it stands in the file: `key` up to "=".
std::string configured(const RunRecord& run, const std::string& key) {
  const std::string start = "\n" + key + " = ";
  const size_t at = run.config_text.find(start);
  if (at == std::string::npos) return {};
  const size_t begin = at + start.size();
  std::string value = run.config_text.substr(begin, run.config_text.find('\n', begin) - begin);
  std::erase(value, '"');
  return value;
}

std::string extents_text(const std::vector<Extent3>& extents) {
  Extent3 low = extents.front();
  Extent3 high = low;
  for (const Extent3& extent : extents) {
    low = {std::min(low.d, extent.d), std::min(low.h, extent.h), std::min(low.w, extent.w)};
    high = {std::max(high.d, extent.d), std::max(high.h, extent.h), std::max(high.w, extent.w)};
  }
  return low == high ? to_string(low) : to_string(low) + " to " + to_string(high);
}

std::string data_facts(const DataJob& data) {
  std::vector<std::string> channels;
  for (const int64_t channel : data.train_load.channels) {
    channels.push_back(data.dataset.channel_names[static_cast<size_t>(channel)]);
  }
  const std::optional<Extent3>& fixed = data.train_load.shape.fixed;
  return fact(
             "data set",
             fmt::format("{} ({} layout), {} {}",
                         data.dataset.name.empty() ? data.dataset.root : data.dataset.name,
                         layout_name(data.dataset.layout), data.dataset.cases.size(),
                         data.job.task.whole_image ? "images with a class" : "cases with labels")) +
         fact("split", fmt::format("{} training, {} validation, {} test", data.split.train.size(),
                                   data.split.validation.size(), data.split.test.size())) +
         fact("channels", joined(channels)) + fact("outputs", joined(data.job.task.outputs)) +
         fact(data.job.task.whole_image ? "fields (d, h, w)" : "volumes (d, h, w)",
              extents_text(data.extents) + (fixed ? ", cropped or padded to " + to_string(*fixed)
                                                  : std::string(", trained whole")));
}

double last_update(const RunRecord& run) {
  return run.steps.empty() ? 0.0 : static_cast<double>(run.steps.back().step);
}

size_t median_window(size_t points) { return std::max<size_t>(5, points / 40) | 1; }

LineChart loss_chart(const RunRecord& run) {
  LineChart chart{"Loss", "update", "loss", {}, last_update(run), false, true};
  std::vector<ChartPoint> training;
  for (const LoggedStep& step : run.steps) {
    if (std::isfinite(step.loss)) {
      training.push_back({static_cast<double>(step.step), step.loss});
    }
  }
  const size_t window = median_window(training.size());
  chart.series.push_back({fmt::format("training, running median of {}", window),
                          running_median(training, window), ChartSeries::Style::line, 0});
  chart.series.push_back(
      {"training, each update", std::move(training), ChartSeries::Style::thin, 0});
  std::swap(chart.series[0], chart.series[1]);
  ChartSeries validation{"validation", {}, ChartSeries::Style::marked, 1};
  for (const LoggedEvaluation& evaluation : run.evaluations) {
    validation.points.push_back({static_cast<double>(evaluation.step), evaluation.loss});
  }
  chart.series.push_back(std::move(validation));
  return chart;
}

LineChart dice_chart(const RunRecord& run) {
  LineChart chart{"Dice on validation cases",
                  "update",
                  "Dice (1 is perfect)",
                  {},
                  last_update(run),
                  false,
                  false};
  std::vector<std::string> names;
  for (const LoggedEvaluation& evaluation : run.evaluations) {
    for (const auto& [name, value] : evaluation.metrics) {
      const bool wanted = name == "Dice" || name.starts_with("Dice/");
      if (wanted && std::find(names.begin(), names.end(), name) == names.end()) {
        names.push_back(name);
      }
    }
  }
  std::sort(names.begin(), names.end());
  // With one output its Dice is the mean.
  if (names.size() == 2) names.resize(1);
  for (const std::string& name : names) {
    ChartSeries series{name == "Dice" ? "mean" : name.substr(5),
                       {},
                       ChartSeries::Style::marked,
                       static_cast<int>(chart.series.size() % 6)};
    for (const LoggedEvaluation& evaluation : run.evaluations) {
      const auto found = evaluation.metrics.find(name);
      if (found != evaluation.metrics.end()) {
        series.points.push_back({static_cast<double>(evaluation.step), found->second});
      }
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

LineChart rate_chart(const RunRecord& run) {
  LineChart chart{"Learning rate", "update", "learning rate", {}, last_update(run), true, false};
  ChartSeries series{"learning rate", {}, ChartSeries::Style::line, 2};
  for (const LoggedStep& step : run.steps) {
    series.points.push_back({static_cast<double>(step.step), step.rate});
  }
  chart.series.push_back(std::move(series));
  return chart;
}

LineChart seconds_chart(const RunRecord& run) {
  LineChart chart{"Time of each update", "update", "seconds", {}, last_update(run), true, true};
  ChartSeries series{"measured", {}, ChartSeries::Style::thin, 5};
  for (const LoggedStep& step : run.steps) {
    if (std::isfinite(step.seconds)) {
      series.points.push_back({static_cast<double>(step.step), step.seconds});
    }
  }
  const size_t window = median_window(series.points.size());
  std::vector<ChartPoint> median = running_median(series.points, window);
  chart.series.push_back(std::move(series));
  chart.series.push_back({fmt::format("running median of {}", window), std::move(median),
                          ChartSeries::Style::line, 5});
  if (run.plan && run.plan->step_seconds > 0 && !run.steps.empty()) {
    chart.series.push_back({"predicted mean",
                            {{static_cast<double>(run.steps.front().step), run.plan->step_seconds},
                             {static_cast<double>(run.steps.back().step), run.plan->step_seconds}},
                            ChartSeries::Style::line,
                            1});
  }
  return chart;
}

double measured_step_seconds(const RunRecord& run) {
  const double logged = run.median_step_seconds();
  return logged > 0 || !run.summary ? logged : run.summary->measured_step_seconds;
}

std::string number_cell(const std::string& text) {
  return text_element("td", {{"class", "n"}}, text);
}

std::string number_head(const std::string& text) {
  return text_element("th", {{"class", "n"}, {"scope", "col"}}, text);
}

std::string resource_row(const std::string& name, const std::string& predicted,
                         const std::string& measured, const std::string& difference) {
  return element("tr", text_element("th", {{"scope", "row"}}, name) + number_cell(predicted) +
                           number_cell(measured) + number_cell(difference));
}

std::string dice_text(const std::optional<double>& value) {
  return value ? fmt::format("{:.4f}", *value) : "undefined";
}

}  // namespace

std::string duration_in_words(double seconds) {
  if (seconds < 60) {
    return seconds < 1 ? fmt::format("{:.3f} s", seconds) : fmt::format("{:.1f} s", seconds);
  }
  const auto total = static_cast<int64_t>(std::llround(seconds));
  if (total < 3600) return fmt::format("{} min {} s", total / 60, total % 60);
  if (total < 86400) return fmt::format("{} h {} min", total / 3600, total % 3600 / 60);
  return fmt::format("{} d {} h", total / 86400, total % 86400 / 3600);
}

std::string header_section(const RunRecord& run) {
  const int64_t updates = run.steps.empty() ? 0 : run.steps.back().step;
  const std::string status =
      run.summary ? run.summary->status : std::string("not ended: running, or killed");
  std::string cards;
  if (!run.evaluations.empty()) {
    const LoggedEvaluation& last = run.evaluations.back();
    const char* const metric = run.config.net.kind == NetKind::mcnn ? "top-1" : "Dice";
    const auto found = last.metrics.find(metric);
    if (found != last.metrics.end() && std::isfinite(found->second)) {
      double best = found->second;
      for (const LoggedEvaluation& evaluation : run.evaluations) {
        const auto other = evaluation.metrics.find(metric);
        if (other != evaluation.metrics.end() && other->second > best) best = other->second;
      }
      cards += card(std::string(metric) + ", last evaluation", fmt::format("{:.4f}", found->second),
                    fmt::format("best {:.4f}", best));
    }
    if (std::isfinite(last.loss)) {
      cards += card("validation loss", fmt::format("{:.4f}", last.loss),
                    fmt::format("after epoch {}", last.epoch));
    }
  }
  cards += card("updates", fmt::format("{}", updates),
                run.summary ? counted(run.summary->epochs, "epoch") + ", " +
                                  duration_in_words(run.summary->seconds)
                            : std::string());
  if (run.plan) {
    const bool measured = run.summary && run.summary->measured_peak_bytes > 0;
    cards += card("peak memory",
                  format_bytes(measured ? run.summary->measured_peak_bytes : run.plan->peak_bytes),
                  measured ? "predicted " + format_bytes(run.plan->peak_bytes) : "predicted");
  }
  if (measured_step_seconds(run) > 0) {
    cards += card("time of an update", duration_in_words(measured_step_seconds(run)),
                  run.plan ? "predicted " + duration_in_words(run.plan->step_seconds) : "");
  }
  return element("header", text_element("h1", "Run " + run.name) +
                               text_element("p", {{"class", "lead"}},
                                            "Status: " + status + ". " + network_text(run) + ".") +
                               leak_warning(run.split_leaks) +
                               element("dl", {{"class", "cards"}}, cards));
}

std::string setup_section(const RunRecord& run, const DataJob* data) {
  const TrainConfig& train = run.config.train;
  std::string rows = fact("network", network_text(run));
  if (data != nullptr) {
    rows += data_facts(*data);
  }
  rows += fact("data folder", run.config.data.root);
  const bool classifies = run.config.net.kind == NetKind::mcnn;
  if (!classifies) rows += fact("target", joined(run.config.data.target));
  rows +=
      fact("normalisation",
           run.config.data.normalise +
               (run.config.data.illumination ? ", after correction of uneven illumination" : ""));
  rows += fact("augmentation",
               run.config.data.augment.empty() ? "none" : joined(run.config.data.augment));
  if (run.config.data.copies != "none") {
    rows += fact("fixed copies", "set " + run.config.data.copies + " of every field");
  }
  rows += fact("loss", loss_text(train));
  rows += fact("optimiser", configured(run, "optimizer.name") + ", rate " +
                                configured(run, "optimizer.rate") + ", schedule " +
                                configured(run, "schedule.name"));
  rows += fact("length", counted(train.epochs, "epoch") + ", " +
                             counted(train.batch, classifies ? "image" : "volume") + " an update");
  if (run.summary && !run.summary->weights_digest.empty()) {
    rows += fact("SHA-256 of weights", run.summary->weights_digest);
  }
  return element("section", text_element("h2", "What was trained on what") +
                                element("table", {{"class", "facts"}}, element("tbody", rows)));
}

std::string curves_section(const RunRecord& run) {
  return element(
      "section",
      text_element("h2", "Curves") +
          element("div", {{"class", "grid"}},
                  render_line_chart(loss_chart(run)) +
                      render_line_chart(run.config.net.kind == NetKind::mcnn
                                            ? accuracy_chart(run, last_update(run))
                                            : dice_chart(run)) +
                      render_line_chart(rate_chart(run)) + render_line_chart(seconds_chart(run))));
}

std::string resources_section(const RunRecord& run) {
  std::string content = text_element("h2", "Memory and time, predicted and measured");
  if (!run.plan) {
    return element("section", content + text_element("p", {{"class", "absent"}},
                                                     "The run folder holds no plan.json."));
  }
  const RecordedPlan& plan = *run.plan;
  const size_t measured = run.summary ? run.summary->measured_peak_bytes : 0;
  content += render_memory_bar(plan, measured);
  std::string rows = resource_row("peak memory of the process", format_bytes(plan.peak_bytes),
                                  measured > 0 ? format_bytes(measured) : "not yet",
                                  measured > 0 ? percent_above(static_cast<double>(measured),
                                                               static_cast<double>(plan.peak_bytes))
                                               : "");
  const double seconds = measured_step_seconds(run);
  rows += resource_row(
      "one update (median)", duration_in_words(plan.step_seconds),
      seconds > 0 ? duration_in_words(seconds) : "not yet",
      seconds > 0 && plan.step_seconds > 0 ? percent_above(seconds, plan.step_seconds) : "");
  const bool ended = run.summary && run.summary->status == "finished";
  rows += resource_row("whole run", duration_in_words(plan.total_seconds),
                       ended ? duration_in_words(run.summary->seconds) : "not yet",
                       ended && plan.total_seconds > 0
                           ? percent_above(run.summary->seconds, plan.total_seconds)
                           : "");
  const std::string head =
      element("tr", text_element("th", {{"scope", "col"}}, "") + number_head("predicted") +
                        number_head("measured") + number_head("difference"));
  content += element("div", {{"class", "scroll"}, {"tabindex", "0"}},
                     element("table", element("thead", head) + element("tbody", rows)));
  return element("section", content);
}

std::string cases_section(const CaseStudy& study) {
  const auto shown = static_cast<int64_t>(study.cases.size());
  std::string head = text_element("th", {{"scope", "col"}}, "case");
  if (study.outputs.size() > 1) head += number_head("mean Dice");
  for (const std::string& output : study.outputs) head += number_head("Dice " + output);
  head += number_head("true volume, ml") + number_head("predicted, ml");
  std::string rows;
  for (const ScoredCase& scored : study.cases) {
    std::string row = text_element("th", {{"scope", "row"}}, scored.id);
    if (study.outputs.size() > 1) row += number_cell(dice_text(scored.mean_dice));
    for (const std::optional<double>& value : scored.dice) row += number_cell(dice_text(value));
    row += number_cell(fmt::format("{:.2f}", scored.truth_ml)) +
           number_cell(fmt::format("{:.2f}", scored.predicted_ml));
    rows += element("tr", row);
  }
  const std::string caption = fmt::format(
      "{} of {} validation cases, worst mean Dice first, with {}. Dice of an output that is "
      "neither "
      "there nor predicted is undefined.",
      shown, study.num_validation_cases, study.weights);
  return element("section", text_element("h2", "All validation cases") +
                                element("div", {{"class", "scroll"}, {"tabindex", "0"}},
                                        element("table", text_element("caption", caption) +
                                                             element("thead", element("tr", head)) +
                                                             element("tbody", rows))));
}

std::string configuration_section(const RunRecord& run) {
  return element("section",
                 text_element("h2", "Configuration") +
                     element("details", text_element("summary", "The resolved config.toml") +
                                            text_element("pre", run.config_text)));
}

}  // namespace wholemount
