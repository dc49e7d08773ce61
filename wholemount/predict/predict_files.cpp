#include "wholemount/predict/predict_files.h"

#include <algorithm>
#include <filesystem>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/image/nifti_writer.h"

namespace wholemount {

namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;
/// Code, heap and stacks first touched while running.
constexpr size_t kReserveBytes = size_t{512} << 10;

/// The process's own size differs a little from start to start.
constexpr size_t kBaselineJitterBytes = size_t{1} << 20;

constexpr int kBudgetAttempts = 4;

size_t whole_pages(size_t bytes) {
  return static_cast<size_t>(
      round_up(static_cast<int64_t>(bytes), static_cast<int64_t>(kHugePageBytes)));
}

/// The stored label value of a u8 code of the labels tensor.
uint8_t label_value(const PredictSpec& spec, uint8_t code) {
  if (spec.target == TargetKind::classes) {
    return code < spec.label_values.size() ? spec.label_values[code] : code;
  }
  uint8_t value = 0;
  for (uint8_t region = 0; region < 8; ++region) {
    if (((code >> region) & 1) != 0) {
      value = static_cast<uint8_t>(region + 1);
    }
  }
  return value;
}

/// Calls copy(source_row, out, count) for every row of a stored plane that the network saw.
template <class CopyRow>
void for_each_row(const Placement& placement, int64_t d, int64_t width, const CopyRow& copy) {
  const Box3& source = placement.source;
  if (d < source.begin.d || d >= source.end.d) {
    return;
  }
  const int64_t padded_d = d - source.begin.d + placement.valid.begin.d;
  for (int64_t h = source.begin.h; h < source.end.h; ++h) {
    const int64_t padded_h = h - source.begin.h + placement.valid.begin.h;
    copy(padded_d, padded_h, placement.valid.begin.w, h * width + source.begin.w,
         source.end.w - source.begin.w);
  }
}

void write_labels(const PredictSpec& spec, const LoadedCase& loaded, const TensorView& labels,
                  const std::string& path) {
  const Extent3& extent = loaded.header.extent;
  NiftiWriter writer(path, loaded.header, VoxelType::u8);
  std::vector<uint8_t> plane(static_cast<size_t>(extent.h * extent.w));
  for (int64_t d = 0; d < extent.d; ++d) {
    std::fill(plane.begin(), plane.end(), uint8_t{0});
    for_each_row(loaded.placement, d, extent.w,
                 [&](int64_t pd, int64_t ph, int64_t pw, int64_t at, int64_t count) {
                   const auto* row = labels.at<const uint8_t>(0, 0, pd, ph, pw);
                   for (int64_t i = 0; i < count; ++i) {
                     plane[static_cast<size_t>(at + i)] = label_value(spec, row[i]);
                   }
                 });
    writer.write_planes({0, d, 1}, std::span<const uint8_t>(plane));
  }
  writer.finish();
}

void write_probabilities(const LoadedCase& loaded, const TensorView& view,
                         const std::string& path) {
  const Extent3& extent = loaded.header.extent;
  const int64_t width = view.desc.block_width();
  NiftiWriter writer(path, loaded.header, VoxelType::f32, view.desc.c);
  std::vector<float> plane(static_cast<size_t>(extent.h * extent.w));
  for (int64_t channel = 0; channel < view.desc.c; ++channel) {
    for (int64_t d = 0; d < extent.d; ++d) {
      std::fill(plane.begin(), plane.end(), 0.0F);
      for_each_row(loaded.placement, d, extent.w,
                   [&](int64_t pd, int64_t ph, int64_t pw, int64_t at, int64_t count) {
                     const auto* row =
                         view.at<const float>(0, channel / width, pd, ph, pw) + channel % width;
                     for (int64_t i = 0; i < count; ++i) {
                       plane[static_cast<size_t>(at + i)] = row[i * width];
                     }
                   });
      writer.write_planes({channel, d, 1}, std::span<const float>(plane));
    }
  }
  writer.finish();
}

void make_out_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw OutputError(folder, "cannot make the folder: " + error.message());
  }
}

}  // namespace

PredictPlan plan_prediction(const PredictSpec& spec, const std::vector<Case>& cases,
                            InferencePrograms& programs,
                            const std::vector<ParameterSpec>& parameters, size_t budget_bytes) {
  PredictPlan plan;
  plan.budget_bytes = budget_bytes;
  const CaseHeaders headers = read_case_headers(cases);
  const std::vector<Extent3>& extents = headers.extents;
  LoadSpec load = spec.load;
  load.reader_bytes = headers.reader_bytes;
  plan.staging = plan_staging(load, extents, cases.size() > 1 ? 2 : 1);
  plan.data_bytes = whole_pages(plan.staging.total_bytes) + kNiftiWriterBytes;
  plan.parameter_bytes = ParameterStore::bytes(parameters, {}).values;
  // What planning leaves on the heap is known only afterwards, so the arena's share may have to be
  // lowered a little and the plan made again.
  size_t arena_budget = SIZE_MAX;
  for (int attempt = 0; attempt < kBudgetAttempts; ++attempt) {
    plan.arena_bytes = 0;
    if (budget_bytes != SIZE_MAX) {
      plan.baseline_bytes = process_memory().resident_bytes + kReserveBytes;
      const size_t left = budget_bytes - std::min(budget_bytes, plan.peak_bytes());
      arena_budget = std::min(left / kHugePageBytes * kHugePageBytes,
                              attempt == 0 ? SIZE_MAX : arena_budget - arena_budget / 64);
      programs.set_arena_budget(arena_budget);
    }
    plan.seconds = 0;
    plan.spill_bytes = 0;
    for (const Extent3& extent : extents) {
      const InferenceProgram& program = programs.get(place_volume(extent, spec.load.shape).padded);
      plan.arena_bytes = std::max(plan.arena_bytes, program.program->arena_bytes);
      plan.spill_bytes = std::max(plan.spill_bytes, program.program->spill_bytes);
      plan.seconds += program.program->seconds;
    }
    const bool smallest = plan.arena_bytes > arena_budget;
    plan.arena_bytes = whole_pages(plan.arena_bytes);
    plan.baseline_bytes = process_memory().resident_bytes + kReserveBytes;
    if (plan.peak_bytes() <= budget_bytes || smallest) break;
  }
  // Shapes whose programs are planned again later have to fit the arena that is mapped now.
  if (budget_bytes != SIZE_MAX) programs.keep_arena_budget(plan.arena_bytes);
  return plan;
}

void check_budget(const PredictPlan& plan) {
  const size_t need = plan.peak_bytes();
  if (need <= plan.budget_bytes) return;
  const size_t smallest = whole_pages(need + kBaselineJitterBytes);
  throw MemoryBudgetError(
      "predicting these images whole needs at least " + format_bytes(need) + " (" +
      std::to_string(need) + " bytes), the memory budget is " + format_bytes(plan.budget_bytes) +
      " (" + std::to_string(plan.budget_bytes) + " bytes). Largest: activations " +
      format_bytes(plan.arena_bytes) + ", data staging " + format_bytes(plan.data_bytes) +
      ", parameters " + format_bytes(plan.parameter_bytes) +
      ". The smallest budget that works is " + std::to_string(smallest) +
      " bytes; or name a folder on a local disk with --spill if there is none");
}

std::vector<PredictedFile> predict_files(const PredictSpec& spec, const PredictPlan& plan,
                                         const std::vector<Case>& cases,
                                         InferencePrograms& programs, ParameterStore& parameters,
                                         ThreadPool& pool,
                                         const std::function<void(const PredictedFile&)>& after) {
  make_out_folder(spec.out_folder);
  Session session(pool, parameters, plan.arena_bytes, spec.spill_folder, plan.spill_bytes);
  std::vector<CaseRequest> order;
  for (size_t i = 0; i < cases.size(); ++i) {
    order.push_back({static_cast<int64_t>(i), 0});
  }
  CaseStream stream(cases, spec.load, plan.staging, std::move(order));
  std::vector<PredictedFile> files;
  double begin = monotonic_seconds();
  while (const LoadedCase* loaded = stream.next()) {
    const InferenceProgram& program = programs.get(loaded->image.desc.extent);
    RunSpec run;
    run.inputs = {{program.graph.image, loaded->image.origin}};
    session.run(*program.program, run);
    const Case& subject = cases[static_cast<size_t>(loaded->case_index)];
    const std::filesystem::path folder(spec.out_folder);
    PredictedFile file;
    file.input = subject.channels.front().path;
    file.output = (folder / (subject.id + ".nii.gz")).string();
    write_labels(spec, *loaded, session.view(*program.program, program.graph.labels), file.output);
    if (spec.probabilities) {
      file.probabilities = (folder / (subject.id + "_probabilities.nii.gz")).string();
      write_probabilities(*loaded, session.view(*program.program, program.graph.probabilities),
                          file.probabilities);
    }
    stream.release(loaded);
    const double now = monotonic_seconds();
    file.seconds = now - begin;
    begin = now;
    after(file);
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace wholemount
