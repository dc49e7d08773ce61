#include "wholemount/train/job_from_data.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/sha256.h"

namespace wholemount {

namespace {

/// Largest difference between what the labels hold and a u8 target with an ignore value.
constexpr size_t kMaxRegions = 7;
constexpr size_t kMaxClasses = 255;

constexpr double kShortLoadSeconds = 0.2;

std::vector<Extent3> padded_extents(const std::vector<int64_t>& cases,
                                    const std::vector<Extent3>& stored, const ShapeSpec& shape) {
  std::vector<Extent3> padded;
  padded.reserve(cases.size());
  for (const int64_t index : cases) {
    padded.push_back(place_volume(stored[static_cast<size_t>(index)], shape).padded);
  }
  return padded;
}

TaskSpec task_from_target(const TargetDefinition& target, int64_t in_channels) {
  TaskSpec task;
  task.in_channels = in_channels;
  task.target = target.coding == LabelCoding::classes ? TargetKind::classes : TargetKind::regions;
  for (const TargetRegion& output : target.outputs) {
    task.outputs.push_back(output.name);
  }
  const size_t limit = task.target == TargetKind::regions ? kMaxRegions : kMaxClasses;
  if (task.outputs.size() > limit) {
    throw ConfigError("data.target gives " + std::to_string(task.outputs.size()) +
                      " outputs; at most " + std::to_string(limit) +
                      (task.target == TargetKind::regions ? " regions" : " classes") +
                      " are possible");
  }
  if (task.target == TargetKind::classes) {
    for (int64_t k = 0; k < target.num_outputs(); ++k) {
      task.label_values.push_back(target.label_value(k));
    }
  }
  return task;
}

TaskSpec task_from_classes(const Dataset& dataset, int64_t in_channels) {
  if (dataset.classes.size() < 2) {
    throw ConfigError(dataset.root + ": holds one class (" + dataset.classes.at(0) +
                      "); telling classes apart needs at least two");
  }
  TaskSpec task;
  task.in_channels = in_channels;
  task.target = TargetKind::classes;
  task.whole_image = true;
  task.outputs = dataset.classes;
  return task;
}

SplitSpec split_spec(const SplitConfig& config) {
  SplitSpec spec;
  spec.seed = static_cast<uint64_t>(config.seed);
  spec.train = config.train;
  spec.validation = config.validation;
  spec.test = config.test;
  spec.by = config.by;
  spec.folds = config.folds;
  spec.fold = config.fold;
  spec.hold_out = config.hold_out;
  return spec;
}

/// A net of whole images has weights for every position.
void check_one_shape(const DataJob& data) {
  const std::vector<Extent3>& train = data.job.train_extents;
  for (const std::vector<Extent3>* part : {&train, &data.job.validation_extents}) {
    for (const Extent3& extent : *part) {
      if (extent != train.front()) {
        throw ConfigError("the images have different shapes (padded " + to_string(train.front()) +
                          " and " + to_string(extent) +
                          "), but net.kind = \"mcnn\" wants one; set data.shape = [1, height, "
                          "width]");
      }
    }
  }
}

/// 8- and 16-bit images of one channel are no common scale.
void check_one_type(const Dataset& dataset, const CaseHeaders& headers) {
  for (size_t i = 1; i < headers.stored.size(); ++i) {
    if (headers.stored[i] == headers.stored[0]) continue;
    throw FileError(dataset.cases[i].channels[0].path,
                    std::string("stores ") + voxel_type_name(headers.stored[i]) + ", but " +
                        dataset.cases[0].channels[0].path + " stores " +
                        voxel_type_name(headers.stored[0]) +
                        "; images of a data set must have one type: convert them");
  }
}

/// What is fitted is fitted to fields with a class; evaluations of label maps do not carry it.
void check_fit(const RunConfig& config, bool whole_image) {
  if (whole_image || !needs_intensity_fit(config)) return;
  throw ConfigError("data.normalise = \"" + config.data.normalise +
                    "\" and data.illumination are for the classification of whole fields; for "
                    "label maps take a normalisation of each case, e.g. \"zscore\"");
}

IntensityFitSpec fit_spec(const RunConfig& config, std::vector<int64_t> channels) {
  IntensityFitSpec spec;
  spec.kind = parse_normalise(config.data.normalise);
  spec.light = config.data.illumination;
  spec.control = config.data.control;
  spec.channels = std::move(channels);
  return spec;
}

void check_turns(const LoadSpec& load) {
  const AugmentSpec& augment = load.augment;
  if (load.copies != CopySet::none &&
      (!load.whole_image || augment.flip || augment.rot90 || augment.rot15 || augment.warps() ||
       (load.copies == CopySet::turns && augment.changes_intensity()))) {
    throw ConfigError(
        "data.copies: copies are of classified fields and say themselves how each is turned and "
        "mirrored; leave \"flip\", \"rot90\", \"rot15\", \"affine\" and \"elastic\" out of "
        "data.augment (with \"B\" all of them)");
  }
  if (augment.rot15 &&
      (!load.whole_image || augment.rot90 || augment.warps() || augment.changes_intensity())) {
    throw ConfigError(
        "data.augment: \"rot15\" is for classification of whole fields, alone or with \"flip\" (it "
        "holds quarter turns already)");
  }
}

/// Blocks of each file that the digest reads: 128 MiB in all, of few files more of each.
int64_t digest_blocks(size_t num_files) {
  constexpr int64_t kBlocksInAll = 32768;
  return std::clamp<int64_t>(kBlocksInAll / static_cast<int64_t>(std::max<size_t>(num_files, 1)), 2,
                             64);
}

std::string digest_of(const DataJob& data) {
  Sha256 sha;
  const int64_t blocks =
      digest_blocks(data.dataset.cases.size() * (data.train_load.channels.size() + 1));
  const auto add = [&](const std::string& text) { sha.update(text + "\n"); };
  // Augmented copies of a field share its files.
  std::map<std::string, std::string> digests;
  const auto digest = [&](const std::string& file) -> const std::string& {
    const auto [entry, is_new] = digests.try_emplace(file);
    if (is_new) entry->second = sampled_digest_of_file(file, blocks);
    return entry->second;
  };
  for (size_t i = 0; i < data.dataset.cases.size(); ++i) {
    const Case& subject = data.dataset.cases[i];
    add(subject.id + " " + to_string(data.extents[i]));
    std::set<std::string> files;
    if (subject.class_index >= 0) {
      add(data.dataset.classes[static_cast<size_t>(subject.class_index)]);
    } else {
      files.insert(subject.label);
    }
    for (const int64_t channel : data.train_load.channels) {
      files.insert(subject.channels[static_cast<size_t>(channel)].path);
    }
    for (const std::string& file : files) {
      add(digest(file));
    }
  }
  for (const std::vector<int64_t>* part :
       {&data.split.train, &data.split.validation, &data.split.test}) {
    std::string text = "split";
    for (const int64_t index : *part) {
      text += " " + std::to_string(index);
    }
    add(text);
  }
  return sha.finish_hex();
}

}  // namespace

LoadSpec load_spec_from_config(const RunConfig& config, const Extent3& divisor,
                               std::vector<int64_t> channels) {
  LoadSpec spec;
  spec.channels = std::move(channels);
  spec.normalise.kind = parse_normalise(config.data.normalise);
  spec.correct_light = config.data.illumination;
  spec.copies = parse_copies(config.data.copies);
  spec.shape.fixed = config.data.shape;
  spec.shape.multiple = divisor;
  spec.seed = static_cast<uint64_t>(config.train.seed);
  return spec;
}

DataJob job_from_data(const RunConfig& config) {
  DataJob data;
  data.first_touch_seconds = monotonic_seconds();
  std::optional<DatasetLayout> layout;
  if (config.data.layout != "auto") {
    layout = parse_layout(config.data.layout);
  }
  data.dataset = open_dataset(config.data.root, layout,
                              {config.data.control_wells, config.data.all_taxol,
                               static_cast<uint64_t>(config.data.split.seed)});
  if (data.dataset.cases.empty()) {
    throw FileError(config.data.root, "the data set has no labelled case to train on");
  }
  const bool whole_image = !data.dataset.classes.empty();
  std::optional<TargetDefinition> target;
  if (!whole_image) target = make_target(data.dataset, config.data.target);
  const std::vector<int64_t> channels = select_channels(data.dataset, config.data.channels);
  JobSpec& job = data.job;
  job.config = config;
  const auto in_channels = static_cast<int64_t>(channels.size());
  job.task = whole_image ? task_from_classes(data.dataset, in_channels)
                         : task_from_target(*target, in_channels);
  job.task.channel_indices = channels;
  job.network = network_from_config(config.net, job.task);
  job.loss = loss_from_config(config.train, job.task);

  data.evaluation_load = load_spec_from_config(config, job.network.divisor, channels);
  data.evaluation_load.target = target;
  data.evaluation_load.whole_image = whole_image;
  data.train_load = data.evaluation_load;
  data.train_load.augment = parse_augment(config.data.augment);
  check_turns(data.train_load);
  check_fit(config, whole_image);
  // Before headers are read: a split that cannot be is told at once.
  data.split = split_dataset(data.dataset, split_spec(config.data.split));
  if (data.split.train.empty()) {
    throw ConfigError("data.split.train = 0 leaves no case to train on");
  }
  const CaseHeaders headers = read_case_headers(data.dataset.cases);
  data.extents = headers.extents;
  if (whole_image) check_one_type(data.dataset, headers);
  if (data.train_load.copies != CopySet::none) {
    expand_copies(data.train_load.copies, data.train_load.shape, &data.dataset, &data.extents);
    data.split = split_dataset(data.dataset, split_spec(config.data.split));
  }
  data.leaks = split_leaks(data.dataset, data.split);
  if (whole_image) check_classes_of_split(data.dataset, data.split);
  for (const Extent3& extent : data.extents) {
    if (data.train_load.augment.rot15 && extent.d != 1) {
      throw ConfigError("data.augment: \"rot15\" turns fields of one plane, found " +
                        to_string(extent));
    }
  }
  data.train_load.reader_bytes = headers.reader_bytes;
  data.evaluation_load.reader_bytes = headers.reader_bytes;
  job.train_extents = padded_extents(data.split.train, data.extents, data.train_load.shape);
  job.validation_extents =
      padded_extents(data.split.validation, data.extents, data.train_load.shape);

  if (job.network.whole_image) check_one_shape(data);

  // One slot more than a program reads at a time: the next case loads meanwhile.
  std::vector<Extent3> streamed;
  for (const std::vector<int64_t>* part : {&data.split.train, &data.split.validation}) {
    for (const int64_t index : *part) {
      streamed.push_back(data.extents[static_cast<size_t>(index)]);
    }
  }
  data.staging = plan_staging(data.train_load, streamed, samples_per_program(job) + 1);
  job.staging_bytes = data.staging.total_bytes;
  data.data_digest = digest_of(data);
  return data;
}

bool needs_intensity_fit(const RunConfig& config) { return needs_fit(fit_spec(config, {})); }

std::shared_ptr<const IntensityFit> fit_job_intensity(const DataJob& data) {
  const IntensityFitSpec spec = fit_spec(data.job.config, data.train_load.channels);
  if (!needs_fit(spec)) return nullptr;
  return std::make_shared<const IntensityFit>(fit_intensity(data.dataset, data.split, spec));
}

double measure_case_load_seconds(const DataJob& data) {
  LoadSpec load = data.train_load;
  if (needs_intensity_fit(data.job.config)) {
    load.normalise.kind = NormaliseKind::zscore;  // what is fitted costs about as much
    load.correct_light = false;
  }
  const auto voxels = [&](int64_t index) {
    return volume(data.extents[static_cast<size_t>(index)]);
  };
  const int64_t largest =
      *std::max_element(data.split.train.begin(), data.split.train.end(),
                        [&](int64_t a, int64_t b) { return voxels(a) < voxels(b); });
  const PageBuffer slot(data.staging.slot_bytes);
  double seconds = 0;
  try {
    // Twice where that is short: the first time memory is touched for the first time.
    for (int round = 0; round < 2 && seconds < kShortLoadSeconds; ++round) {
      const double begin = thread_cpu_seconds();
      static_cast<void>(load_case(data.dataset.cases[static_cast<size_t>(largest)], {largest, 0},
                                  load, {slot.data(), data.staging.slot_bytes}));
      seconds = thread_cpu_seconds() - begin;
    }
  } catch (const FileError&) {
    return 0;
  }
  return seconds;
}

JobSpec job_from_data_or_shape(const RunConfig& config, bool with_loading) {
  std::error_code ignored;
  const bool has_data = std::filesystem::exists(config.data.root, ignored);
  if (has_data || !config.data.shape.has_value()) {
    DataJob data = job_from_data(config);
    if (with_loading) data.job.case_load_seconds = measure_case_load_seconds(data);
    return std::move(data.job);
  }
  JobSpec job;
  job.config = config;
  job.task.in_channels = std::max<int64_t>(1, static_cast<int64_t>(config.data.channels.size()));
  if (config.data.target == std::vector<std::string>{"labels"}) {
    throw FileError(config.data.root,
                    "no such folder, and data.target = \"labels\" needs the data set to know its "
                    "classes; set data.root, or name regions");
  }
  job.task.outputs = config.data.target;
  job.task.target = TargetKind::regions;
  if (config.net.kind == NetKind::mcnn) {
    job.task.whole_image = true;
    job.task.target = TargetKind::classes;
  }
  job.network = network_from_config(config.net, job.task);
  job.loss = loss_from_config(config.train, job.task);
  const LoadSpec load =
      load_spec_from_config(config, job.network.divisor,
                            std::vector<int64_t>(static_cast<size_t>(job.task.in_channels), 0));
  const Extent3 padded = place_volume(*config.data.shape, load.shape).padded;
  // As many cases as one update wants, so that train.batch means what it says.
  job.train_extents.assign(static_cast<size_t>(std::max<int64_t>(1, config.train.batch)), padded);
  LoadSpec staged = load;
  if (job.task.whole_image) {
    staged.whole_image = true;
  } else {
    staged.target.emplace();
  }
  const std::vector<Extent3> extents = {*config.data.shape};
  job.staging_bytes = plan_staging(staged, extents, samples_per_program(job) + 1).total_bytes;
  return job;
}

}  // namespace wholemount
