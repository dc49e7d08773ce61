#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "wholemount/data/dataset.h"
#include "wholemount/metrics/label_coding.h"

namespace wholemount {

/// One output of a network: a name and the label values it covers.
struct TargetRegion {
  std::string name;
  std::vector<uint8_t> values;
};

/// What is to be learned from a data set's label maps, as a u8 target a voxel: bit r for region r
/// (regions may overlap, at most 7), or the class index (at most 255 classes); kIgnoreTarget
/// (tensor/target.h) for voxels of the data set's ignored label.
struct TargetDefinition {
  LabelCoding coding = LabelCoding::classes;
  /// The regions in bit order, or the classes in index order (rising label value).
  std::vector<TargetRegion> outputs;
  static constexpr int16_t kUndeclared = -1;
  /// Target code of every stored label value; kUndeclared where the data set does not declare it.
  std::array<int16_t, 256> code{};

  [[nodiscard]] int64_t num_outputs() const { return static_cast<int64_t>(outputs.size()); }
  /// Stored label value of a class index (for writing predictions); classes only.
  [[nodiscard]] uint8_t label_value(int64_t class_index) const;
  /// Replaces stored label values by target codes. Returns the position of the first undeclared
  /// value, or labels.size() when all are declared; conversion stops there.
  [[nodiscard]] size_t encode(std::span<uint8_t> labels) const;
};

/// Builds a target from names as the configuration has them: either just "labels" (all classes), or
/// one or more regions, each of them
/// - "whole-tumour", "tumour-core", "enhancing-tumour" where the labels are those of a brain tumour
///   data set, recognised by their names, so that both numberings work (MSD: edema 1, non-enhancing
///   2, enhancing 3; BraTS: necrotic 1, edema 2, enhancing 4); "tumor" is accepted;
/// - "foreground": every label but 0;
/// - a region's or label's own name; case, blanks and hyphens do not matter, so that "whole-tumour"
///   also finds the region "Whole Tumor" that a data set defines itself;
/// - label values joined by "+", as "1+2".
/// Throws ConfigError naming the nearest known name.
[[nodiscard]] TargetDefinition make_target(const Dataset& dataset,
                                           const std::vector<std::string>& names);

}  // namespace wholemount
