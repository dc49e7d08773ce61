#include "wholemount/data/target.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include "wholemount/base/error.h"
#include "wholemount/base/nearest_name.h"
#include "wholemount/tensor/target.h"

namespace wholemount {

namespace {

constexpr size_t kMostRegions = 7;
constexpr int64_t kMostClasses = 255;

enum class TumourPart : uint8_t { edema, core, enhancing };

std::string letters_of(const std::string& name) {
  std::string letters;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return letters;
}

std::optional<TumourPart> tumour_part(const std::string& label_name) {
  const std::string name = letters_of(label_name);
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  if (has("nonenhanc") || has("necro") || name == "ncr" || name == "net" || name == "ncrnet") {
    return TumourPart::core;
  }
  if (has("edema") || name == "ed") return TumourPart::edema;
  if (has("enhanc") || name == "et") return TumourPart::enhancing;
  return std::nullopt;
}

// All three parts must be there, else the names mean nothing in this data set.
std::vector<TargetRegion> tumour_regions(const Dataset& dataset) {
  std::vector<uint8_t> whole;
  std::vector<uint8_t> core;
  std::vector<uint8_t> enhancing;
  bool has_edema = false;
  for (const LabelName& label : dataset.labels) {
    const std::optional<TumourPart> part = tumour_part(label.name);
    if (!part || label.value == 0) continue;
    const auto value = static_cast<uint8_t>(label.value);
    whole.push_back(value);
    has_edema |= part == TumourPart::edema;
    if (part != TumourPart::edema) core.push_back(value);
    if (part == TumourPart::enhancing) enhancing.push_back(value);
  }
  if (!has_edema || enhancing.empty() || core.size() == enhancing.size()) return {};
  return {{"whole-tumour", whole}, {"tumour-core", core}, {"enhancing-tumour", enhancing}};
}

std::vector<TargetRegion> known_regions(const Dataset& dataset) {
  std::vector<TargetRegion> regions = tumour_regions(dataset);
  for (const NamedRegion& region : dataset.regions) {
    TargetRegion own{region.name, {}};
    for (const int64_t value : region.values) own.values.push_back(static_cast<uint8_t>(value));
    regions.push_back(std::move(own));
  }
  TargetRegion foreground{"foreground", {}};
  for (const LabelName& label : dataset.labels) {
    if (label.value == 0) continue;
    foreground.values.push_back(static_cast<uint8_t>(label.value));
    regions.push_back({label.name, {static_cast<uint8_t>(label.value)}});
  }
  regions.push_back(foreground);
  return regions;
}

bool declared(const Dataset& dataset, int64_t value) {
  return std::any_of(dataset.labels.begin(), dataset.labels.end(),
                     [value](const LabelName& label) { return label.value == value; });
}

// "1+2"; nullopt when the text is no list of numbers.
std::optional<TargetRegion> region_of_values(const Dataset& dataset, const std::string& text) {
  TargetRegion region{text, {}};
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (true) {
    int64_t value = 0;
    const auto [next, code] = std::from_chars(at, end, value);
    if (code != std::errc()) return std::nullopt;
    if (!declared(dataset, value) || value < 0 || value > 255) {
      throw ConfigError("data.target: \"" + text + "\": the data set declares no label " +
                        std::to_string(value));
    }
    region.values.push_back(static_cast<uint8_t>(value));
    if (next == end) return region;
    if (*next != '+') return std::nullopt;
    at = next + 1;
  }
}

// Letters and digits only, with one spelling of tumour.
std::string comparable(const std::string& name) {
  std::string letters = letters_of(name);
  if (const size_t at = letters.find("tumour"); at != std::string::npos) letters.erase(at + 4, 1);
  return letters;
}

TargetRegion find_region(const Dataset& dataset, const std::string& name) {
  const std::vector<TargetRegion> known = known_regions(dataset);
  for (const TargetRegion& region : known) {
    if (region.name == name) return region;
  }
  for (const TargetRegion& region : known) {
    if (comparable(region.name) == comparable(name)) return {name, region.values};
  }
  if (const auto region = region_of_values(dataset, name)) return *region;
  std::vector<std::string> names{"labels"};
  for (const TargetRegion& region : known) names.push_back(region.name);
  throw ConfigError("data.target: unknown region \"" + name + "\" for this data set" +
                    suggestion(name, names));
}

}  // namespace

uint8_t TargetDefinition::label_value(int64_t class_index) const {
  WM_CHECK(coding == LabelCoding::classes, "regions have no single label value");
  return outputs.at(static_cast<size_t>(class_index)).values.front();
}

size_t TargetDefinition::encode(std::span<uint8_t> labels) const {
  for (size_t i = 0; i < labels.size(); ++i) {
    const int16_t value = code[labels[i]];
    if (value == kUndeclared) return i;
    labels[i] = static_cast<uint8_t>(value);
  }
  return labels.size();
}

TargetDefinition make_target(const Dataset& dataset, const std::vector<std::string>& names) {
  if (names.empty()) throw ConfigError("data.target is empty; name a region or \"labels\"");
  TargetDefinition target;
  target.code.fill(TargetDefinition::kUndeclared);
  if (dataset.ignored_label) {
    target.code[static_cast<size_t>(*dataset.ignored_label)] = kIgnoreTarget;
  }
  if (names.size() == 1 && names[0] == "labels") {
    target.coding = LabelCoding::classes;
    for (const LabelName& label : dataset.labels) {
      target.code[static_cast<size_t>(label.value)] = static_cast<int16_t>(target.num_outputs());
      target.outputs.push_back({label.name, {static_cast<uint8_t>(label.value)}});
    }
    if (target.outputs.size() < 2) {
      throw ConfigError("data.target = \"labels\" needs at least two labels; the data set " +
                        std::string("declares ") + std::to_string(target.outputs.size()));
    }
    if (target.num_outputs() > kMostClasses) {
      throw ConfigError("data.target = \"labels\": the data set declares " +
                        std::to_string(target.outputs.size()) +
                        " labels; at most 255 classes are possible");
    }
    return target;
  }
  if (names.size() > kMostRegions) {
    throw ConfigError("data.target names " + std::to_string(names.size()) +
                      " regions; at most 7 are possible");
  }
  target.coding = LabelCoding::regions;
  for (const LabelName& label : dataset.labels) target.code[static_cast<size_t>(label.value)] = 0;
  for (size_t bit = 0; bit < names.size(); ++bit) {
    const TargetRegion region = find_region(dataset, names[bit]);
    for (const uint8_t value : region.values) {
      target.code[value] = static_cast<int16_t>(target.code[value] | 1 << bit);
    }
    target.outputs.push_back(region);
  }
  return target;
}

}  // namespace wholemount
