#pragma once

#include <string>

#include "wholemount/data/dataset.h"

namespace wholemount {

/// True where `root` holds files whose names end in image.csv and moa.csv.
[[nodiscard]] bool is_bbbc021_layout(const std::string& root);

/// Reads BBBC021 as downloaded from the Broad Bioimage Benchmark Collection; see open_dataset.
/// Groups of a case: plate, well (plate and well), field (well and site), batch (the week),
/// compound, treatment (compound and concentration). Throws FileError: columns missing, a malformed
/// concentration, no field with a known mechanism; image files that are missing are counted and
/// the first ones named.
[[nodiscard]] Dataset read_bbbc021_layout(const std::string& root,
                                          const DatasetSelection& selection);

}  // namespace wholemount
