#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "wholemount/train/event_file.h"
#include "wholemount/train/run_folder.h"

namespace wholemount {

/// What a run writes while it goes on: each entry becomes a line of log.jsonl and an event for
/// TensorBoard. log.jsonl is the record that resuming cuts and continues; the event file follows it
/// (see EventFile).
class RunLog {
 public:
  /// Cuts the folder's log after `step` updates, from where the run goes on (RunFolder::cut_log).
  /// `folder` must outlive it. Throws OutputError.
  RunLog(RunFolder& folder, int64_t step);

  /// Appends an entry with "kind" ("step" or "evaluation") and "step". Throws OutputError.
  void append(const nlohmann::ordered_json& entry);

 private:
  RunFolder& folder_;
  EventFile events_;
};

/// The numbers of a log entry under TensorBoard's names: "train/loss", "train/rate",
/// "train/gradient_norm", "train/seconds"; "validation/loss", "validation/Dice",
/// "validation/Dice/whole-tumour", "validation/seconds" and so on. Undefined ones are left out.
[[nodiscard]] std::vector<EventScalar> event_scalars(const nlohmann::ordered_json& entry);

}  // namespace wholemount
