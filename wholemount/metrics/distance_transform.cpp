#include "wholemount/metrics/distance_transform.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

double square(double value) { return value * value; }

/// One pass along lines of one axis: out(q) = min over p of f(p) + (spacing (q - p))^2, as the
/// lower envelope of parabolas.
class LinePass {
 public:
  LinePass(int64_t length, double spacing)
      : spacing_(spacing),
        line_(static_cast<size_t>(length)),
        sites_(static_cast<size_t>(length)),
        starts_(static_cast<size_t>(length) + 1) {}

  void run(double* first, int64_t pitch) {
    const auto length = static_cast<int64_t>(line_.size());
    for (int64_t q = 0; q < length; ++q) line_[static_cast<size_t>(q)] = first[q * pitch];
    const size_t num_sites = build_envelope();
    if (num_sites == 0) return;  // no feature on this line: it stays infinite
    size_t site = 0;
    for (int64_t q = 0; q < length; ++q) {
      while (site + 1 < num_sites && starts_[site + 1] < static_cast<double>(q)) ++site;
      first[q * pitch] = value(sites_[site], q);
    }
  }

 private:
  [[nodiscard]] double value(int64_t site, int64_t q) const {
    return line_[static_cast<size_t>(site)] + square(static_cast<double>(q - site) * spacing_);
  }

  // Where the parabola of `right` gets below that of `left`.
  [[nodiscard]] double crossing(int64_t left, int64_t right) const {
    const double rise = line_[static_cast<size_t>(right)] - line_[static_cast<size_t>(left)];
    const auto l = static_cast<double>(left);
    const auto r = static_cast<double>(right);
    return (rise / square(spacing_) + r * r - l * l) / (2.0 * (r - l));
  }

  size_t build_envelope() {
    size_t count = 0;
    for (int64_t q = 0; q < static_cast<int64_t>(line_.size()); ++q) {
      if (line_[static_cast<size_t>(q)] == kInfinity) continue;
      double start = -kInfinity;
      while (count > 0) {
        start = crossing(sites_[count - 1], q);
        if (start > starts_[count - 1]) break;
        --count;
        start = -kInfinity;
      }
      sites_[count] = q;
      starts_[count] = start;
      ++count;
    }
    return count;
  }

  double spacing_;
  std::vector<double> line_;
  std::vector<int64_t> sites_;
  std::vector<double> starts_;
};

}  // namespace

void squared_distance_transform(std::span<double> squared, const Extent3& extent,
                                const std::array<double, 3>& spacing_mm) {
  WM_CHECK(static_cast<int64_t>(squared.size()) == volume(extent), "map of another size");
  const int64_t plane = extent.h * extent.w;
  LinePass along_d(extent.d, spacing_mm[0]);
  for (int64_t i = 0; i < plane; ++i) along_d.run(squared.data() + i, plane);
  LinePass along_h(extent.h, spacing_mm[1]);
  for (int64_t d = 0; d < extent.d; ++d) {
    for (int64_t w = 0; w < extent.w; ++w) {
      along_h.run(squared.data() + d * plane + w, extent.w);
    }
  }
  LinePass along_w(extent.w, spacing_mm[2]);
  for (int64_t row = 0; row < extent.d * extent.h; ++row) {
    along_w.run(squared.data() + row * extent.w, 1);
  }
}

}  // namespace wholemount
