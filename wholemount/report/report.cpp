#include "wholemount/report/report.h"

#include <filesystem>
#include <memory>
#include <optional>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"
#include "wholemount/report/batch_section.h"
#include "wholemount/report/case_view.h"
#include "wholemount/report/classification_sections.h"
#include "wholemount/report/markup.h"
#include "wholemount/report/page.h"
#include "wholemount/report/report_sections.h"
#include "wholemount/train/calibration.h"
#include "wholemount/train/job_plan.h"
#include "wholemount/train/run_folder.h"

namespace wholemount {

namespace {

// Base64 makes a third more of it: the page stays below 8 MB.
constexpr size_t kPagePngBytes = size_t{5600} << 10;

/// What one call of write_report gathers.
class ReportBuilder {
 public:
  explicit ReportBuilder(const ReportSpec& spec)
      : spec_(spec),
        run_(read_run_record(spec.run_folder)),
        folder_(std::filesystem::path(spec.run_folder) / "report"),
        pool_(spec.threads) {}

  ReportResult build() {
    open_data();
    // The timeline's plan says how much memory the predictions may take.
    const std::string timeline = timeline_section();
    std::string body = header_section(run_) + setup_section(run_, data_.get()) +
                       curves_section(run_) + resources_section(run_) + timeline +
                       (classifies() ? classification_sections() : validation_sections()) +
                       configuration_section(run_);
    result_.page = (std::filesystem::path(spec_.run_folder) / RunFolderNames::kReport).string();
    write_file_atomically(result_.page, html_page("Run " + run_.name + " - Wholemount", body));
    return std::move(result_);
  }

 private:
  void open_data() {
    if (!spec_.data_root.empty()) run_.config.data.root = spec_.data_root;
    try {
      data_ = std::make_unique<DataJob>(job_from_data(run_.config));
    } catch (const Error& error) {
      no_data_ = error.what();
      result_.notes.push_back(no_data_);
    }
  }

  [[nodiscard]] std::string left_out(const std::string& heading, const std::string& what,
                                     const std::string& why) const {
    return element("section",
                   text_element("h2", heading) +
                       text_element("p", {{"class", "absent"}}, what + " left out: " + why + "."));
  }

  std::string timeline_section() {
    const std::string heading = "Memory of one update";
    if (!data_) return left_out(heading, "The timeline is", no_data_);
    const RunConfig& config = data_->job.config;
    const PlanSpec plan_spec = plan_spec_from_config(config, spec_.threads);
    JobPrograms programs(data_->job, plan_spec,
                         current_time_model(plan_spec.target, spec_.threads));
    const JobPlan plan =
        plan_job(data_->job, programs, spec_.threads, memory_budget_bytes(config, spec_.memory));
    arena_bytes_ = plan.arena_bytes;
    MemoryTimeline timeline = memory_timeline(*programs.update.get(plan.largest).program);
    const MemoryPlan& memory = plan.memory;
    const size_t other =
        run_.plan ? run_.plan->other_bytes() : memory.baseline_bytes + memory.reserve_bytes;
    timeline.constants = {{"program, libraries, stacks", other},
                          {"data staging", memory.data_bytes},
                          {"optimiser state", memory.optimiser_bytes},
                          {"gradient sums", memory.gradient_bytes},
                          {"parameters", memory.parameter_bytes}};
    std::string text = "Every step of the largest program of the update, as planned: " +
                       std::to_string(plan.largest.size()) + (classifies() ? " image" : " volume") +
                       (plan.largest.size() == 1 ? "" : "s") + " of " +
                       to_string(plan.largest.front()) + " (padded) at a time. ";
    text += timeline.peak_in_backward ? "The peak lies in the backward pass. "
                                      : "The peak lies in the forward pass. ";
    text += "The arena that holds the upper three kinds is mapped once, with " +
            format_bytes(memory.arena_bytes) +
            ": what is live at the peak, gaps between buffers, whole pages.";
    return element("section", text_element("h2", heading) + text_element("p", text) +
                                  render_memory_timeline(timeline));
  }

  [[nodiscard]] bool classifies() const { return run_.config.net.kind == NetKind::mcnn; }

  std::string classification_sections() {
    const std::string heading = "Classes";
    if (!data_) return left_out(heading, "Classes and images are", no_data_);
    try {
      return confusion_section(run_, *data_) +
             batch_section(run_, *data_, spec_.threads,
                           memory_budget_bytes(run_.config, spec_.memory)) +
             class_distribution_section(*data_) + example_images_section(*data_);
    } catch (const Error& error) {
      result_.notes.emplace_back(error.what());
      return left_out(heading, "Classes and images are", error.what());
    }
  }

  std::string validation_sections() {
    const std::string heading = "Sample cases";
    if (!spec_.predict) {
      return left_out(heading, "Predictions are",
                      "the run has not ended; `wholemount report` adds them");
    }
    if (!data_) return left_out(heading, "Predictions are", no_data_);
    if (data_->split.validation.empty()) {
      return left_out(heading, "Predictions are", "the split has no validation cases");
    }
    std::optional<CaseStudy> study;
    try {
      CaseStudySpec spec;
      spec.run_folder = spec_.run_folder;
      spec.num_samples = spec_.num_samples;
      spec.out_folder = folder_.string();
      spec.pool = &pool_;
      spec.progress = spec_.progress;
      spec.arena_budget_bytes = arena_bytes_;
      study = study_cases(*data_, spec);
    } catch (const OutputError&) {
      throw;
    } catch (const Error& error) {
      result_.notes.emplace_back(error.what());
      return left_out(heading, "Predictions are", error.what());
    }
    return sample_section(heading, *study) + cases_section(*study);
  }

  std::string sample_section(const std::string& heading, const CaseStudy& study) {
    if (study.samples.empty()) return {};
    std::string content =
        text_element("h2", heading) +
        text_element(
            "p",
            "Validation cases, predicted whole. Each view opens at the slice with most "
            "true foreground. Axial and coronal views show the patient's right on the left.") +
        overlay_legend(study.outputs.size() > 1);
    for (size_t i = 0; i < study.samples.size(); ++i) {
      const SampleCase& sample = study.samples[i];
      CaseViewSpec view;
      view.id = "case-" + std::to_string(i);
      view.max_png_bytes = kPagePngBytes / study.samples.size();
      const std::filesystem::path picture = folder_ / (sample.scores.id + ".png");
      view.overlay_file = "report/" + picture.filename().string();
      write_png(picture.string(), overlay_picture(sample));
      result_.pictures.push_back(picture.string());
      content += render_case_view(sample, view);
    }
    return element("section", content);
  }

  static std::string overlay_legend(bool several_outputs) {
    const auto item = [](const char* colour, const char* text) {
      return element("li", text_element("span", {{"class", std::string("box ") + colour}}, "") +
                               escape_markup(text));
    };
    return element("ul", {{"class", "legend"}},
                   item("purple", "agreement") + item("red", "prediction only") +
                       item("blue", "truth only") +
                       (several_outputs ? item("amber", "both, but not the same label")
                                        : std::string())) +
           text_element("p", {{"class", "small"}}, "");
  }

  const ReportSpec& spec_;
  size_t arena_bytes_ = SIZE_MAX;  ///< of the run's plan; predictions stay within it
  RunRecord run_;
  std::filesystem::path folder_;
  ThreadPool pool_;
  std::unique_ptr<DataJob> data_;
  std::string no_data_;
  ReportResult result_;
};

}  // namespace

ReportResult write_report(const ReportSpec& spec) { return ReportBuilder(spec).build(); }

}  // namespace wholemount
