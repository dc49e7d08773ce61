#include "cli/plan_sweep.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/job_options.h"
#include "cli/measured_step.h"
#include "cli/sweep_axis.h"
#include "wholemount/base/atomic_file.h"
#include "wholemount/base/memory.h"
#include "wholemount/report/line_chart.h"
#include "wholemount/report/markup.h"
#include "wholemount/report/page.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/job_from_data.h"
#include "wholemount/train/job_plan.h"
#include "wholemount/train/plan_json.h"

namespace wholemount::cli {

namespace {

/// How many budgets a sweep chooses by itself.
constexpr int kChosenBudgets = 10;

/// What a budget needs above a peak for the same plan: planning leaves some bytes behind.
constexpr size_t kAmpleBytes = size_t{16} << 20;

/// One combination, planned.
struct Point {
  std::vector<size_t> choice;  ///< by axis
  bool fits = false;
  JobPlan plan;
  std::optional<MeasuredStep> measured;
  nlohmann::ordered_json json;
};

Point plan_point(const std::vector<Axis>& axes, std::vector<size_t> choice,
                 const ConfigOptions& base, const CommonOptions& common) {
  ConfigOptions options = base;
  Point point;
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();
  for (size_t a = 0; a < axes.size(); ++a) {
    const std::string& value = axes[a].values[choice[a]];
    options.overrides.push_back(axes[a].key + "=" + value);
    settings[axes[a].key] = value;
  }
  point.choice = std::move(choice);
  const RunConfig config = cli::read_config(options, common);
  const int threads = thread_count(common);
  const JobSpec job = job_from_data_or_shape(config);
  const PlanSpec spec = plan_spec_from_config(config, threads);
  JobPrograms programs(job, spec, current_time_model(spec.target, threads));
  // Without a budget a sweep shows what a job takes, wherever it is drawn.
  const bool budgeted = !options.memory.empty() || config.memory.budget.has_value();
  point.plan = plan_job(job, programs, threads,
                        budgeted ? memory_budget_bytes(config, options.memory) : SIZE_MAX);
  point.fits = point.plan.memory.peak_bytes() <= point.plan.budget_bytes;
  point.json = {{"settings", settings}, {"fits", point.fits}};
  point.json.update(plan_json(job, point.plan));
  return point;
}

/// Fills an axis of budgets without values: from the least that any combination of the other axes
/// works with to what the largest takes without a budget, each larger by the same factor.
void choose_budgets(std::vector<Axis>& axes, const ConfigOptions& base,
                    const CommonOptions& common) {
  const auto chosen =
      std::find_if(axes.begin(), axes.end(), [](const Axis& axis) { return axis.values.empty(); });
  if (chosen == axes.end()) return;
  std::vector<Axis> others = axes;
  others.erase(others.begin() + (chosen - axes.begin()));
  others.push_back({kBudgetKey, {"1", "1000000G"}});
  size_t least = SIZE_MAX;
  size_t most = 0;
  for (std::vector<size_t>& choice : combinations(others)) {
    const bool floor = choice.back() == 0;
    const JobPlan plan = plan_point(others, std::move(choice), base, common).plan;
    if (floor) {
      least = std::min(least, smallest_budget_bytes(plan));
    } else {
      most = std::max(most, plan.memory.peak_bytes() + kAmpleBytes);
    }
  }
  const double factor = static_cast<double>(most) / static_cast<double>(least);
  for (int i = 0; i < kChosenBudgets; ++i) {
    const double bytes = static_cast<double>(least) *
                         std::pow(factor, static_cast<double>(i) / (kChosenBudgets - 1));
    const std::string value =
        std::to_string(static_cast<size_t>(std::ceil(bytes / (1U << 20U)))) + "M";
    if (chosen->values.empty() || chosen->values.back() != value) chosen->values.push_back(value);
  }
}

/// An update in a process of its own, where it fits and its memory is there.
void measure_point(const std::vector<Axis>& axes, const ConfigOptions& base,
                   const CommonOptions& common, Point& point) {
  const size_t peak = point.plan.memory.peak_bytes();
  if (!point.fits || peak > available_memory_bytes()) return;
  std::vector<std::string> arguments = {base.path, "--rounds", "1", "--threads",
                                        std::to_string(thread_count(common))};
  for (const std::string& setting : base.overrides) {
    arguments.insert(arguments.end(), {"--set", setting});
  }
  for (size_t a = 0; a < axes.size(); ++a) {
    arguments.insert(arguments.end(),
                     {"--set", axes[a].key + "=" + axes[a].values[point.choice[a]]});
  }
  if (!base.kernels.empty()) arguments.insert(arguments.end(), {"--kernels", base.kernels});
  if (common.seed.has_value()) {
    arguments.insert(arguments.end(), {"--seed", std::to_string(*common.seed)});
  }
  // The budget the point was planned for; none is one far beyond its needs.
  const size_t budget =
      point.plan.budget_bytes == SIZE_MAX ? 2 * peak + (size_t{1} << 30) : point.plan.budget_bytes;
  arguments.insert(arguments.end(), {"--memory", std::to_string(budget)});
  point.measured = measure_step_in_child(arguments);
  point.json["measured_peak_bytes"] = point.measured->peak_bytes;
  point.json["measured_step_seconds"] = point.measured->step_seconds;
}

double gib(size_t bytes) { return static_cast<double>(bytes) / static_cast<double>(1U << 30U); }

/// What a chart shows of a point; nullopt: nothing.
using PointValue = std::optional<double> (*)(const Point&);

/// One series for every combination of the axes after the first, predicted and measured.
std::string chart(const std::vector<Axis>& axes, const std::vector<Point>& points,
                  const std::string& title, const std::string& unit, PointValue predicted,
                  PointValue measured) {
  std::map<std::string, ChartSeries> series;
  const auto add = [&](const Point& point, const std::string& what,
                       const std::optional<double>& value) {
    if (!point.fits || !value.has_value()) return;
    std::string name;
    for (size_t a = 1; a < axes.size(); ++a) {
      name += (a == 1 ? "" : ", ") + axes[a].key + " " + axes[a].values[point.choice[a]];
    }
    name += (name.empty() ? "" : ", ") + what;
    ChartSeries& one = series[name];
    one.name = name;
    one.style = ChartSeries::Style::marked;
    one.points.push_back({position_of(axes.front(), point.choice.front()), *value});
  };
  for (const Point& point : points) {
    add(point, "planned", predicted(point));
    add(point, "measured", measured(point));
  }
  LineChart drawn;
  drawn.title = title;
  drawn.x_label = x_label(axes.front());
  drawn.y_label = unit;
  drawn.from_zero = true;
  for (auto& [name, one] : series) {
    std::sort(one.points.begin(), one.points.end(),
              [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
    one.colour = static_cast<int>(drawn.series.size() % 6);
    drawn.x_end = std::max(drawn.x_end, one.points.back().x);
    drawn.series.push_back(std::move(one));
  }
  return render_line_chart(drawn);
}

void print_table(const std::vector<Axis>& axes, const std::vector<Point>& points) {
  for (const Axis& axis : axes) std::printf("%-20s ", axis.key.c_str());
  const bool measured =
      std::any_of(points.begin(), points.end(), [](const Point& p) { return p.measured; });
  std::printf("%12s %12s %12s %10s%s\n", "peak", "arena", "scratch disk", "update",
              measured ? "     measured peak      update" : "");
  for (const Point& point : points) {
    for (size_t a = 0; a < axes.size(); ++a) {
      std::printf("%-20s ", axes[a].values[point.choice[a]].c_str());
    }
    std::printf("%12s %12s %12s %10s", format_bytes(point.plan.memory.peak_bytes()).c_str(),
                format_bytes(point.plan.arena_bytes).c_str(),
                format_bytes(point.plan.spill_bytes).c_str(),
                format_duration(point.plan.step_seconds).c_str());
    if (point.measured.has_value()) {
      std::printf("  %16s  %10s", format_bytes(point.measured->peak_bytes).c_str(),
                  format_duration(point.measured->step_seconds).c_str());
    }
    std::printf("%s\n", point.fits ? "" : "  does not fit");
  }
}

}  // namespace

void run_sweep(const SweepOptions& sweep, const ConfigOptions& config,
               const CommonOptions& common) {
  std::vector<Axis> axes;
  for (const std::string& text : sweep.axes) {
    Axis axis = parse_axis(text);
    if (std::any_of(axes.begin(), axes.end(), [&](const Axis& a) { return a.key == axis.key; })) {
      throw ConfigError("--sweep: " + axis.key + " is given twice; list all its values in one");
    }
    if (axis.key == kBudgetKey && !config.memory.empty()) {
      throw ConfigError(
          "--sweep memory.budget and --memory both say what the budget is; leave one");
    }
    axes.push_back(std::move(axis));
  }
  choose_budgets(axes, config, common);
  std::vector<Point> points;
  for (std::vector<size_t>& choice : combinations(axes)) {
    points.push_back(plan_point(axes, std::move(choice), config, common));
    if (sweep.measure) measure_point(axes, config, common, points.back());
  }
  const std::string body =
      text_element("h1", "What memory a job takes") +
      chart(
          axes, points, "Peak memory of the process", "GiB",
          [](const Point& p) { return std::optional(gib(p.plan.memory.peak_bytes())); },
          [](const Point& p) {
            return p.measured ? std::optional(gib(p.measured->peak_bytes)) : std::nullopt;
          }) +
      chart(
          axes, points, "Time of an update", "seconds",
          [](const Point& p) { return std::optional(p.plan.step_seconds); },
          [](const Point& p) {
            return p.measured ? std::optional(p.measured->step_seconds) : std::nullopt;
          });
  write_file_atomically(sweep.figure, html_page("Sweep - Wholemount", body));
  if (!common.json) {
    print_table(axes, points);
    std::printf("\ndrawn in %s\n", sweep.figure.c_str());
    return;
  }
  nlohmann::ordered_json json;
  json["figure"] = sweep.figure;
  json["points"] = nlohmann::ordered_json::array();
  for (const Point& point : points) json["points"].push_back(point.json);
  std::printf("%s\n", json.dump(2).c_str());
}

}  // namespace wholemount::cli
