#include "wholemount/train/run_log.h"

#include <nlohmann/json.hpp>
#include <string>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"

namespace wholemount {

namespace {

/// Cutting comes first: events follow the log.
RunFolder& cut(RunFolder& folder, int64_t step) {
  folder.cut_log(step);
  return folder;
}

}  // namespace

RunLog::RunLog(RunFolder& folder, int64_t step)
    : folder_(cut(folder, step)),
      events_(folder.file(RunFolderNames::kEvents).string(), step + 1) {}

void RunLog::append(const nlohmann::ordered_json& entry) {
  folder_.append_log(entry.dump());
  std::vector<EventScalar> scalars = event_scalars(entry);
  if (entry.at("kind") == "step") {
    scalars.push_back(
        {"memory/resident_bytes", static_cast<double>(process_memory().resident_bytes)});
  }
  events_.append(entry.at("step").get<int64_t>(), unix_seconds(), scalars);
}

std::vector<EventScalar> event_scalars(const nlohmann::ordered_json& entry) {
  const std::string group = entry.at("kind") == "step" ? "train/" : "validation/";
  std::vector<EventScalar> scalars;
  for (const auto& [name, value] : entry.items()) {
    if (name == "metrics") {
      for (const auto& [metric, score] : value.items()) {
        if (score.is_number()) scalars.push_back({group + metric, score.get<double>()});
      }
    } else if (value.is_number() && name != "step" && name != "epoch") {
      scalars.push_back({group + name, value.get<double>()});
    }
  }
  return scalars;
}

}  // namespace wholemount
