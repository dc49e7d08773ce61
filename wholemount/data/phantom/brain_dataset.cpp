#include "wholemount/data/phantom/brain_dataset.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"
#include "wholemount/data/phantom/brain_phantom.h"
#include "wholemount/image/nifti_writer.h"

namespace wholemount {

namespace {

namespace fs = std::filesystem;

constexpr int64_t kPlanesPerThread = 2;

void create_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw OutputError(folder.string(),
                      "cannot create the folder (" + error.message() + "); choose another place");
  }
}

/// Renders planes in parallel, a few at a time, and hands them on in order.
template <class Voxel, class Render, class Take>
void render_in_order(const Extent3& extent, ThreadPool* pool, std::vector<Voxel>* planes,
                     const Render& render, const Take& take) {
  const int64_t plane = checked_multiply(extent.h, extent.w);
  const int64_t group = std::min(extent.d, kPlanesPerThread * pool->num_threads());
  planes->resize(static_cast<size_t>(checked_multiply(group, plane)));
  for (int64_t first = 0; first < extent.d; first += group) {
    const int64_t count = std::min(group, extent.d - first);
    pool->run(count, [&](int64_t task, int) {
      render(first + task,
             std::span<Voxel>(planes->data() + task * plane, static_cast<size_t>(plane)));
    });
    take(first, count, std::span<const Voxel>(planes->data(), static_cast<size_t>(count * plane)));
  }
}

void write_image(const BrainPhantom& phantom, const std::string& path, ThreadPool* pool) {
  NiftiWriter writer(path, phantom.header(), VoxelType::i16, BrainPhantom::kChannels);
  std::vector<int16_t> planes;
  for (int64_t channel = 0; channel < BrainPhantom::kChannels; ++channel) {
    render_in_order(
        phantom.header().extent, pool, &planes,
        [&](int64_t d, std::span<int16_t> values) { phantom.render_plane(channel, d, values); },
        [&](int64_t first, int64_t count, std::span<const int16_t> values) {
          writer.write_planes({channel, first, count}, values);
        });
  }
  writer.finish();
}

void write_labels(const BrainPhantom& phantom, BrainCaseSummary* summary, ThreadPool* pool) {
  NiftiWriter writer(summary->label, phantom.header(), VoxelType::u8);
  std::vector<uint8_t> planes;
  render_in_order(
      phantom.header().extent, pool, &planes,
      [&](int64_t d, std::span<uint8_t> labels) { phantom.render_labels(d, labels); },
      [&](int64_t first, int64_t count, std::span<const uint8_t> labels) {
        for (const uint8_t label : labels) ++summary->label_voxels[label];
        writer.write_planes({0, first, count}, labels);
      });
  writer.finish();
}

std::string case_name(int64_t number) {
  char text[32];
  std::snprintf(text, sizeof(text), "BRATS_%03lld", static_cast<long long>(number));
  return text;
}

std::string dataset_json(const BrainDatasetSpec& spec) {
  nlohmann::ordered_json json;
  json["name"] = "BRATS";
  json["description"] =
      "Synthetic gliomas: phantoms with necrotic/active tumour and oedema, made by `wholemount "
      "synth brain` (seed " +
      std::to_string(spec.seed) + "); no patient data";
  json["reference"] = "https://www.med.upenn.edu/sbia/brats2017.html (the layout only)";
  json["licence"] = "CC0-1.0";
  json["release"] = "1.0";
  json["tensorImageSize"] = "4D";
  json["modality"] = {{"0", "FLAIR"}, {"1", "T1w"}, {"2", "t1gd"}, {"3", "T2w"}};
  json["labels"] = {
      {"0", "background"}, {"1", "edema"}, {"2", "non-enhancing tumor"}, {"3", "enhancing tumour"}};
  json["numTraining"] = spec.num_training;
  json["numTest"] = spec.num_test;
  json["training"] = nlohmann::ordered_json::array();
  for (int64_t i = 0; i < spec.num_training; ++i) {
    const std::string file = case_name(i + 1) + ".nii.gz";
    json["training"].push_back({{"image", "./imagesTr/" + file}, {"label", "./labelsTr/" + file}});
  }
  json["test"] = nlohmann::ordered_json::array();
  for (int64_t i = 0; i < spec.num_test; ++i) {
    json["test"].push_back("./imagesTs/" + case_name(spec.num_training + i + 1) + ".nii.gz");
  }
  return json.dump(1) + "\n";
}

}  // namespace

std::vector<BrainCaseSummary> write_brain_dataset(
    const BrainDatasetSpec& spec, ThreadPool* pool,
    FunctionRef<void(const BrainCaseSummary& summary)> on_case) {
  if (spec.num_training < 1 || spec.num_test < 0) {
    throw ConfigError("a data set of " + std::to_string(spec.num_training) + " training and " +
                      std::to_string(spec.num_test) +
                      " test cases: wanted at least 1 and 0; see --cases and --test");
  }
  // Refuses a bad extent before anything is written.
  static_cast<void>(BrainPhantom(spec.seed, 0, spec.extent));
  const fs::path root = spec.root;
  create_folder(root / "imagesTr");
  create_folder(root / "labelsTr");
  if (spec.num_test > 0) create_folder(root / "imagesTs");
  std::vector<BrainCaseSummary> summaries;
  for (int64_t i = 0; i < checked_add(spec.num_training, spec.num_test); ++i) {
    const BrainPhantom phantom(spec.seed, static_cast<uint64_t>(i), spec.extent);
    const bool labelled = i < spec.num_training;
    BrainCaseSummary summary;
    summary.name = case_name(i + 1);
    const std::string file = summary.name + ".nii.gz";
    summary.image = (root / (labelled ? "imagesTr" : "imagesTs") / file).string();
    std::copy_n(phantom.header().geometry.spacing_mm.begin(), 3, summary.spacing_mm);
    write_image(phantom, summary.image, pool);
    if (labelled) {
      summary.label = (root / "labelsTr" / file).string();
      write_labels(phantom, &summary, pool);
    }
    on_case(summary);
    summaries.push_back(std::move(summary));
  }
  write_file_atomically((root / "dataset.json").string(), dataset_json(spec));
  return summaries;
}

}  // namespace wholemount
