#include "wholemount/report/batch_section.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "wholemount/base/memory.h"
#include "wholemount/report/line_chart.h"
#include "wholemount/report/markup.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/job_plan.h"

namespace wholemount {

namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

struct BatchPoint {
  int64_t batch = 0;
  double images_per_second = 0;
  double peak_gib = 0;
  double kept_gib = 0;  ///< outputs of all convolutions of the batch
};

BatchPoint plan_batch(const DataJob& data, int64_t batch, int threads, size_t budget_bytes) {
  JobSpec job = data.job;
  job.config.train.batch = batch;
  // As many images as the batch wants, so that it means what it says.
  const Extent3 extent = job.train_extents.front();
  job.train_extents.resize(std::max(job.train_extents.size(), static_cast<size_t>(batch)), extent);
  const PlanSpec spec = plan_spec_from_config(job.config, threads);
  JobPrograms programs(job, spec, current_time_model(spec.target, threads));
  const JobPlan plan = plan_job(job, programs, threads, budget_bytes);
  const double seconds = plan.step_seconds;
  return {batch, seconds > 0 ? static_cast<double>(batch) / seconds : 0.0,
          static_cast<double>(plan.memory.peak_bytes()) / kGiB,
          static_cast<double>(plan.convolution_output_bytes) / kGiB};
}

ChartSeries series_of(const std::string& name, const std::vector<BatchPoint>& points,
                      double BatchPoint::*value, int colour) {
  ChartSeries series{name, {}, ChartSeries::Style::marked, colour};
  for (const BatchPoint& point : points) {
    series.points.push_back({static_cast<double>(point.batch), point.*value});
  }
  return series;
}

LineChart chart_over_batch(const std::string& title, const std::string& unit) {
  return {title, "images an update (batch)", unit, {}, 0, true, false};
}

}  // namespace

std::string batch_section(const RunRecord& run, const DataJob& data, int threads,
                          size_t budget_bytes) {
  std::vector<int64_t> batches{1, 2, 4, 8, 16, 32, 64};
  const int64_t own = update_batch(data.job);
  batches.push_back(own);
  std::sort(batches.begin(), batches.end());
  batches.erase(std::unique(batches.begin(), batches.end()), batches.end());
  std::vector<BatchPoint> points;
  for (const int64_t batch : batches) {
    points.push_back(plan_batch(data, batch, threads, budget_bytes));
  }
  LineChart throughput = chart_over_batch("Throughput over the batch", "images a second");
  throughput.series.push_back(series_of("predicted", points, &BatchPoint::images_per_second, 0));
  LineChart memory = chart_over_batch("Memory over the batch", "GiB");
  memory.series.push_back(
      series_of("peak of the process, predicted", points, &BatchPoint::peak_gib, 0));
  memory.series.push_back(
      series_of("outputs of all convolutions, were they kept", points, &BatchPoint::kept_gib, 3));
  const double seconds = run.median_step_seconds();
  if (seconds > 0) {
    throughput.series.push_back({"this run, median update",
                                 {{static_cast<double>(own), static_cast<double>(own) / seconds}},
                                 ChartSeries::Style::marked,
                                 1});
  }
  if (run.summary && run.summary->measured_peak_bytes > 0) {
    memory.series.push_back(
        {"this run, measured",
         {{static_cast<double>(own), static_cast<double>(run.summary->measured_peak_bytes) / kGiB}},
         ChartSeries::Style::marked,
         1});
  }
  return element(
      "section",
      text_element("h2", "Throughput and memory over the batch") +
          text_element("p",
                       fmt::format("Plans of this run at other batches, for {} threads of this "
                                   "machine; the run itself had {} images an update. Images are "
                                   "worked off one program at a time and their gradients summed, "
                                   "so that memory hardly grows with the batch.",
                                   threads, own)) +
          element("div", {{"class", "grid"}},
                  render_line_chart(throughput) + render_line_chart(memory)));
}

}  // namespace wholemount
