#pragma once

#include <cstddef>
#include <string>

#include "wholemount/data/strided_box.h"

namespace wholemount {

/// How intensities of each channel of each case are brought to a common scale. Statistics are over
/// the voxels of the case that are used (after a crop, before padding), in float64.
enum class NormaliseKind : uint8_t {
  none,
  zscore,          ///< (x - mean) / standard deviation, over all voxels
  zscore_nonzero,  ///< the same over voxels != 0, which alone are changed: outside stays 0
  percentile,      ///< clipped to two percentiles, which become 0 and 1
  minmax,          ///< minimum becomes 0, maximum 1
  full_scale,      ///< divided by the largest number of the stored type: 255, 65535; floats stay
  /// zscore of 2 sqrt(x + 3/8), which makes the shot noise of counts even (Anscombe 1948); numbers
  /// below -3/8 count as that.
  anscombe,
  // With a mean and deviation that were fitted to a data set (intensity_fit.h):
  zscore_training,    ///< of all training fields together: brightness of a field stays visible
  zscore_controls,    ///< of the untreated fields of the same plate
  anscombe_controls,  ///< the same of 2 sqrt(x + 3/8)
};

/// Whether the kind uses NormaliseSpec::mean and deviation.
[[nodiscard]] constexpr bool fitted_mean(NormaliseKind kind) {
  return kind == NormaliseKind::zscore_training || kind == NormaliseKind::zscore_controls ||
         kind == NormaliseKind::anscombe_controls;
}
/// Whether these are fitted to the controls of each plate.
[[nodiscard]] constexpr bool uses_controls(NormaliseKind kind) {
  return kind == NormaliseKind::zscore_controls || kind == NormaliseKind::anscombe_controls;
}

struct NormaliseSpec {
  NormaliseKind kind = NormaliseKind::zscore_nonzero;
  double lower_percent = 0.5;   ///< percentile only
  double upper_percent = 99.5;  ///< percentile only
  double full_scale = 1.0;      ///< full_scale only: what becomes 1
  double mean = 0.0;            ///< fitted_mean() only
  double deviation = 1.0;       ///< fitted_mean() only, above 0
};

/// Reads "none", "zscore", "zscore-nonzero", "percentile", "minmax", "full-scale", "anscombe",
/// "zscore-training", "zscore-controls", "anscombe-controls"; throws ConfigError naming the nearest
/// known one.
[[nodiscard]] NormaliseKind parse_normalise(const std::string& name);
[[nodiscard]] const char* normalise_name(NormaliseKind kind);

/// Anscombe's root: 2 sqrt(x + 3/8), numbers below -3/8 counting as that.
[[nodiscard]] double anscombe_root(double x);

/// What was done to a channel: y = (x - shift) * scale after clipping x to [lowest, highest].
struct IntensityScale {
  double shift = 0.0;
  double scale = 1.0;
  double lowest = 0.0;   ///< percentile only
  double highest = 0.0;  ///< percentile only
};

/// Normalises the voxels of `box` in place. A channel without spread (standard deviation 0, or
/// equal limits) is only shifted. The standard deviation divides by the number of voxels, as
/// numpy's does. The result does not depend on the box's pitches. Memory: kNormaliseBytes for
/// percentiles, else none.
IntensityScale normalise(const NormaliseSpec& spec, float* values, const StridedBox& box);

constexpr size_t kNormaliseBytes = size_t{512} << 10;

}  // namespace wholemount
