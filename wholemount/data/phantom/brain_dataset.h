#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/base/function_ref.h"
#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/tensor/extent3.h"

namespace wholemount {

/// What `synth brain` makes.
struct BrainDatasetSpec {
  std::string root;          ///< folder to create or fill; existing cases are overwritten
  int64_t num_training = 0;  ///< labelled cases, at least 1
  int64_t num_test = 0;      ///< further cases without labels, in imagesTs
  Extent3 extent;            ///< d, h, w of every case
  uint64_t seed = 0;
};

/// One case as written.
struct BrainCaseSummary {
  std::string name;              ///< "BRATS_001"
  std::string image;             ///< path
  std::string label;             ///< path; empty for a test case
  int64_t label_voxels[4] = {};  ///< voxels with each label; 0 for a test case
  double spacing_mm[3] = {};     ///< d, h, w
};

/// Writes phantoms in the layout of the Medical Segmentation Decathlon's Task01_BrainTumour:
/// imagesTr/BRATS_NNN.nii.gz (4 channels, int16), labelsTr (uint8), imagesTs, and dataset.json
/// (written last, so a folder with a dataset.json is complete). Case i of a seed is the same
/// whatever the number of cases and threads. Calls `on_case` after each case.
/// Memory: two planes a thread and one NiftiWriter.
/// Throws ConfigError (no case), ShapeError (extent), OutputError (disk).
std::vector<BrainCaseSummary> write_brain_dataset(
    const BrainDatasetSpec& spec, ThreadPool* pool,
    FunctionRef<void(const BrainCaseSummary& summary)> on_case);

}  // namespace wholemount
