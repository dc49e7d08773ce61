#include "wholemount/data/augment_spec.h"

#include <array>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/nearest_name.h"

namespace wholemount {

namespace {

constexpr std::array<std::pair<const char*, bool AugmentSpec::*>, 8> kKinds{
    {{"flip", &AugmentSpec::flip},
     {"rot90", &AugmentSpec::rot90},
     {"rot15", &AugmentSpec::rot15},
     {"affine", &AugmentSpec::affine},
     {"elastic", &AugmentSpec::elastic},
     {"intensity-scale", &AugmentSpec::intensity_scale},
     {"intensity-shift", &AugmentSpec::intensity_shift},
     {"noise", &AugmentSpec::noise}}};

}  // namespace

AugmentSpec parse_augment(const std::vector<std::string>& names) {
  AugmentSpec spec;
  std::vector<std::string> known;
  known.reserve(kKinds.size());
  for (const auto& [name, member] : kKinds) known.emplace_back(name);
  for (const std::string& name : names) {
    bool found = false;
    for (const auto& [kind, member] : kKinds) {
      if (name != kind) continue;
      spec.*member = true;
      found = true;
    }
    if (!found) {
      throw ConfigError("data.augment: unknown augmentation \"" + name + "\"" +
                        suggestion(name, known));
    }
  }
  return spec;
}

}  // namespace wholemount
