#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "wholemount/data/dataset.h"
#include "wholemount/data/light_field.h"
#include "wholemount/data/normalise.h"
#include "wholemount/data/split.h"

namespace wholemount {

/// What was learnt of a channel on a plate.
struct ChannelIntensity {
  LightField light;
  /// Of the reference fields, after light and root: of the training fields (zscore_training) or of
  /// the plate's controls.
  double mean = 0;
  double deviation = 1;
  friend bool operator==(const ChannelIntensity&, const ChannelIntensity&) = default;
};

/// Numbers of intensity that are fitted to a data set before training, and belong to the model.
struct IntensityFit {
  /// By plate, in the order of LoadSpec::channels; "" is all plates together, for fields of a plate
  /// that was not seen or is not known.
  std::map<std::string, std::vector<ChannelIntensity>> plates;

  /// Of the field's plate, one entry a channel; of all plates together where that plate was not
  /// seen or is not known. Owned by this object.
  [[nodiscard]] const std::vector<ChannelIntensity>& of(const Case& field) const;
  friend bool operator==(const IntensityFit&, const IntensityFit&) = default;
};

struct IntensityFitSpec {
  NormaliseKind kind = NormaliseKind::none;
  bool light = false;             ///< fit and correct uneven illumination
  std::string control = "DMSO";   ///< compound (or class, where compounds are unknown) of controls
  std::vector<int64_t> channels;  ///< of the data set
};

/// Whether load_case needs an IntensityFit.
[[nodiscard]] bool needs_fit(const IntensityFitSpec& spec);

/// Fits. Light and zscore_training learn from the training fields alone (a field once, whatever
/// number of copies of it are trained on). Controls of a plate are all its untreated fields that
/// neither validate nor test, those a selection left out among them; a plate with none of these
/// takes its validation and test controls, whose class is not used: as in the laboratory, a plate
/// brings its own. Fields are read row by row, once for the light and once for mean and deviation;
/// sums are float64 in the order of the cases, so the result depends on data and split alone.
/// Memory: one reader and one row. Throws FileError as the readers do, and ConfigError: light of
/// images that are no planes; controls asked for and none there.
[[nodiscard]] IntensityFit fit_intensity(const Dataset& dataset, const Split& split,
                                         const IntensityFitSpec& spec);

/// As JSON, numbers to the last bit.
[[nodiscard]] std::string to_json(const IntensityFit& fit);
/// Reads it back; throws FileError naming `where` for anything malformed, for numbers that are not
/// finite and deviations that are not above 0.
[[nodiscard]] IntensityFit parse_intensity_fit(const std::string& json, const std::string& where,
                                               size_t num_channels);

}  // namespace wholemount
