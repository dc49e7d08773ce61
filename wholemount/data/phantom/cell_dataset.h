#pragma once

#include <cstdint>
#include <string>

#include "wholemount/base/function_ref.h"
#include "wholemount/base/parallel/thread_pool.h"

namespace wholemount {

/// What `synth cells` makes.
struct CellDatasetSpec {
  std::string root;        ///< folder to create or fill; existing files are overwritten
  int64_t num_images = 0;  ///< fields of three channels
  int64_t height = 1024;
  int64_t width = 1280;
  int64_t classes = 13;  ///< phenotypes, the untreated cells (DMSO) included
  uint64_t seed = 0;
};

/// Writes drawn fields as BBBC021 is downloaded: Week1/Week1_22001/NAME_w1GUID.tif (w1 DAPI, w2
/// tubulin, w4 actin; 16 bits), BBBC021_v1_image.csv, _moa.csv and _compound.csv (written last, so
/// a folder with moa.csv is complete). Each phenotype beside DMSO is the mechanism of three
/// compounds at two concentrations; wells hold four fields, plates at most 60 wells, weeks five
/// plates; classes take turns well by well. Field i of a seed is the same whatever the number of
/// threads. Calls `on_field` with the number of fields done.
/// Memory: a field a thread. Throws ConfigError (numbers), OutputError (disk).
void write_cell_dataset(const CellDatasetSpec& spec, ThreadPool* pool,
                        FunctionRef<void(int64_t done)> on_field);

}  // namespace wholemount
