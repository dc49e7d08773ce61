#include "wholemount/report/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "wholemount/data/phantom/brain_dataset.h"
#include "wholemount/image/nifti_reader.h"
#include "wholemount/image/volume_test_support.h"
#include "wholemount/pack/pack.h"
#include "wholemount/report/case_study.h"
#include "wholemount/report/markup_test_support.h"
#include "wholemount/report/memory_timeline.h"
#include "wholemount/report/run_record.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/job_plan.h"
#include "wholemount/train/loop.h"

namespace wholemount {
namespace {

using testing::markup_error;
using testing::TemporaryFolder;

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// A data set of six small phantoms and a configuration that trains on it in a second.
RunConfig small_config(const TemporaryFolder& folder, const std::string& target) {
  BrainDatasetSpec spec;
  spec.root = folder / "data";
  spec.num_training = 6;
  spec.extent = {16, 24, 20};
  spec.seed = 5;
  ThreadPool pool(1);
  write_brain_dataset(spec, &pool, [](const BrainCaseSummary&) {});
  return parse_config("[data]\nroot = \"" + spec.root + "\"\ntarget = " + target +
                          "\nchannels = [\"FLAIR\", \"T2w\"]\n"
                          "split = { seed = 1, train = 0.5, validation = 0.5, test = 0.0 }\n"
                          "[net]\nfilters = 4\nlevels = 2\n"
                          "[train]\nepochs = 1\nbatch = 1\nsteps_per_epoch = 2\n",
                      "test");
}

TrainSummary train_small(const RunConfig& config, const std::string& run) {
  TrainSpec spec;
  spec.run_folder = run;
  return train(job_from_data(config), spec);
}

TEST(Report, a_finished_run_becomes_one_balanced_page_with_pictures_and_predictions) {
  const TemporaryFolder folder;
  train_small(small_config(folder, "[\"whole-tumour\", \"tumour-core\"]"), folder / "run");
  ReportSpec spec;
  spec.run_folder = folder / "run";
  const ReportResult result = write_report(spec);
  EXPECT_TRUE(result.notes.empty()) << result.notes.front();
  EXPECT_EQ(result.page, folder / "run/report.html");
  const std::string page = read_text(result.page);
  EXPECT_EQ(markup_error(page), "");
  EXPECT_LT(page.size(), size_t{8} << 20);
  for (const char* text :
       {"What was trained on what", "Learning rate", "measured peak", "peak ", "worst", "median",
        "best", "FLAIR, T2w", "Dice whole-tumour", "Dice tumour-core", "true volume, ml",
        "3 of 3 validation cases", "both, but not the same label"}) {
    EXPECT_NE(page.find(text), std::string::npos) << text;
  }
  for (const char* link : {"http:", "https:"}) EXPECT_EQ(page.find(link), std::string::npos);
  ASSERT_EQ(result.pictures.size(), 3U);
  for (const std::string& picture : result.pictures) {
    EXPECT_EQ(read_text(picture).substr(0, 8), "\x89PNG\r\n\x1a\n");
    const std::string labels = picture.substr(0, picture.size() - 4) + ".nii.gz";
    EXPECT_EQ(NiftiReader(labels).header().extent, (Extent3{16, 24, 20}));
  }
}

TEST(Report, a_run_without_its_data_set_still_shows_what_was_logged) {
  const TemporaryFolder folder;
  train_small(small_config(folder, "\"labels\""), folder / "run");
  std::filesystem::remove_all(folder / "data");
  ReportSpec spec;
  spec.run_folder = folder / "run";
  const ReportResult result = write_report(spec);
  EXPECT_EQ(result.notes.size(), 1U);
  EXPECT_TRUE(result.pictures.empty());
  const std::string page = read_text(result.page);
  EXPECT_EQ(markup_error(page), "");
  EXPECT_NE(page.find("The timeline is left out: " + folder / "data"), std::string::npos);
  EXPECT_NE(page.find("Predictions are left out"), std::string::npos);
  EXPECT_NE(page.find("Learning rate"), std::string::npos);
}

TEST(Report, a_running_run_is_shown_by_its_last_checkpoint) {
  const TemporaryFolder folder;
  train_small(small_config(folder, "\"labels\""), folder / "run");
  std::filesystem::remove(folder / "run/model.safetensors");
  std::filesystem::remove(folder / "run/summary.json");
  ReportSpec spec;
  spec.run_folder = folder / "run";
  spec.num_samples = 1;
  const ReportResult result = write_report(spec);
  EXPECT_EQ(result.pictures.size(), 1U);
  const std::string page = read_text(result.page);
  EXPECT_NE(page.find("the checkpoint after update 2"), std::string::npos);
  EXPECT_NE(page.find("Status: not ended"), std::string::npos);
  std::filesystem::remove_all(folder / "run/checkpoint");
  EXPECT_EQ(write_report(spec).notes.size(), 1U) << "no weights: said, not fatal";
}

TEST(Report, a_folder_that_is_no_run_is_refused) {
  const TemporaryFolder folder;
  ReportSpec spec;
  spec.run_folder = folder.path();
  WM_EXPECT_ERROR(write_report(spec), FileError, "config.toml");
}

TEST(CaseStudy, its_scores_are_those_of_the_evaluation_after_training) {
  const TemporaryFolder folder;
  const RunConfig config = small_config(folder, "[\"whole-tumour\"]");
  const TrainSummary summary = train_small(config, folder / "run");
  const DataJob data = job_from_data(config);
  ThreadPool pool(1);
  CaseStudySpec spec;
  spec.run_folder = folder / "run";
  spec.out_folder = folder / "out";
  spec.pool = &pool;
  const CaseStudy study = study_cases(data, spec);
  ASSERT_EQ(study.cases.size(), 3U);
  double sum = 0;
  for (const ScoredCase& scored : study.cases) {
    ASSERT_TRUE(scored.mean_dice.has_value());
    sum += *scored.mean_dice;
  }
  // The same counts; only the order of three additions may differ.
  EXPECT_NEAR(sum / 3, summary.metrics.at("Dice").value(), 1e-12);
  EXPECT_LE(*study.cases[0].mean_dice, *study.cases[2].mean_dice);
  ASSERT_EQ(study.samples.size(), 3U);
  const SampleCase& worst = study.samples.front();
  EXPECT_EQ(worst.which, "worst");
  int64_t truth = 0;
  for (const uint8_t code : worst.volume.truth) truth += code != 0 ? 1 : 0;
  EXPECT_EQ(truth, worst.scores.counts[0].reference());
}

TEST(CaseStudy, samples_are_spread_from_worst_to_best) {
  EXPECT_EQ(sample_positions(11, 3), (std::vector<size_t>{0, 5, 10}));
  EXPECT_EQ(sample_positions(2, 3), (std::vector<size_t>{0, 1}));
  EXPECT_EQ(sample_positions(5, 1), (std::vector<size_t>{0}));
  EXPECT_TRUE(sample_positions(0, 3).empty());
  EXPECT_TRUE(sample_positions(5, 0).empty());
}

TEST(MemoryTimeline, its_sums_are_the_live_bytes_of_the_plan) {
  const TemporaryFolder folder;
  const DataJob data = job_from_data(small_config(folder, "\"labels\""));
  PlanSpec plan_spec;
  JobPrograms programs(data.job, plan_spec, default_time_model(1));
  const JobPlan plan = plan_job(data.job, programs, 1);
  const Program& program = *programs.update.get(plan.largest).program;
  const MemoryTimeline timeline = memory_timeline(program);
  std::vector<Interval> intervals;
  for (const ArenaUse& use : program.uses) {
    intervals.push_back({use.bytes, use.first_step, use.last_step});
  }
  const std::vector<size_t> live = live_bytes(intervals);
  ASSERT_EQ(timeline.num_steps(), live.size());
  for (size_t step = 0; step < live.size(); ++step) {
    EXPECT_EQ(timeline.live(step), live[step]) << step;
  }
  EXPECT_EQ(timeline.live(timeline.peak_step), program.lower_bound_bytes);
  EXPECT_EQ(timeline.peak_step, static_cast<size_t>(program.peak_step));
  EXPECT_GT(timeline.first_backward_step, 0U);
  EXPECT_LT(timeline.first_backward_step, timeline.num_steps());
  const std::string figure = render_memory_timeline(timeline);
  EXPECT_EQ(markup_error(figure), "");
  EXPECT_NE(figure.find(timeline.peak_node), std::string::npos);
}

TEST(RunRecord, torn_lines_are_left_out_and_null_metrics_are_undefined) {
  const TemporaryFolder folder;
  write_text(folder / "config.toml", "[data]\nroot = \"x\"\n");
  write_text(folder / "log.jsonl",
             "{\"kind\":\"step\",\"step\":1,\"loss\":2.5,\"rate\":0.1,\"seconds\":3}\n"
             "{\"kind\":\"evaluation\",\"step\":1,\"epoch\":1,\"loss\":null,"
             "\"metrics\":{\"Dice\":null,\"accuracy\":0.5}}\n"
             "{\"kind\":\"step\",\"st");
  const RunRecord record = read_run_record(folder.path() + "/");
  EXPECT_EQ(record.name, std::filesystem::path(folder.path()).filename().string());
  ASSERT_EQ(record.steps.size(), 1U);
  EXPECT_EQ(record.steps[0].loss, 2.5);
  EXPECT_EQ(record.median_step_seconds(), 3);
  ASSERT_EQ(record.evaluations.size(), 1U);
  EXPECT_TRUE(std::isnan(record.evaluations[0].loss));
  EXPECT_TRUE(std::isnan(record.evaluations[0].metrics.at("Dice")));
  EXPECT_EQ(record.evaluations[0].metrics.at("accuracy"), 0.5);
  EXPECT_FALSE(record.plan.has_value());
  write_text(folder / "plan.json", "{ torn");
  WM_EXPECT_ERROR(read_run_record(folder.path()), FileError, "plan.json");
}

}  // namespace
}  // namespace wholemount
