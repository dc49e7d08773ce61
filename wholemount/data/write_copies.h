#pragma once

#include <cstdint>
#include <string>

#include "wholemount/base/function_ref.h"
#include "wholemount/base/parallel/thread_pool.h"
#include "wholemount/data/dataset.h"
#include "wholemount/data/field_copies.h"

namespace wholemount {

struct WriteCopiesSpec {
  CopySet set = CopySet::quarter_turns;
  ShapeSpec shape;     ///< "B": what is cropped; without one 724 of 1024 (largest_turning_square)
  std::string folder;  ///< to create or fill; existing files are overwritten
};

/// The side of the largest square that stays inside a field whatever the turn: floor(min(h, w) /
/// sqrt(2)), 724 of 1024.
[[nodiscard]] int64_t largest_turning_square(const Extent3& field);

/// Writes every copy of every classified field as uncompressed TIFFs of the field's number type,
/// one a channel (ID_CHANNEL.tif in a folder for each class), and manifest.csv (written last) with
/// class, "source" (the field) and the data set's other groups, for the layout "csv". Pixels are
/// those load_case makes of data.copies before normalisation, rounded to whole numbers where a turn
/// fell between pixels. The same files whatever the number of threads. Calls on_field with the
/// number of fields done. Returns the number of copies.
/// Memory: a field and a copy a thread, as float32. Throws FileError (also for number types other
/// than uint8 and uint16), ConfigError, OutputError.
int64_t write_copies(const Dataset& dataset, const WriteCopiesSpec& spec, ThreadPool* pool,
                     FunctionRef<void(int64_t done)> on_field);

}  // namespace wholemount
