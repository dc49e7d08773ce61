#include "wholemount/data/value_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace wholemount {

namespace {

constexpr uint32_t kSign = 0x80000000U;
constexpr uint32_t kDroppedBits = 12;
constexpr size_t kBins = size_t{1} << (32 - kDroppedBits);
constexpr size_t kZeroBin = kBins / 2;
static_assert(kBins * sizeof(int64_t) == ValueHistogram::kBytes);

}  // namespace

ValueHistogram::ValueHistogram() : counts_(kBins) {}

size_t ValueHistogram::bin_of(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  // -0 and what lies nearest to it belong to the bin of 0.
  if ((bits & ~kSign) >> kDroppedBits == 0) return kZeroBin;
  // Integers in the order of the values.
  const uint32_t key = (bits & kSign) != 0 ? ~bits : bits | kSign;
  return key >> kDroppedBits;
}

double ValueHistogram::value_of(size_t bin) {
  const uint32_t key = static_cast<uint32_t>(bin) << kDroppedBits;
  // The end of the bin that lies towards 0, on either side.
  if (bin >= kZeroBin) return static_cast<double>(std::bit_cast<float>(key & ~kSign));
  const uint32_t magnitude = ~key & ~kSign & ~((1U << kDroppedBits) - 1);
  return -static_cast<double>(std::bit_cast<float>(magnitude));
}

void ValueHistogram::merge(const ValueHistogram& other) {
  std::transform(counts_.begin(), counts_.end(), other.counts_.begin(), counts_.begin(),
                 std::plus<>());
}

int64_t ValueHistogram::count() const {
  return std::accumulate(counts_.begin(), counts_.end(), int64_t{0});
}

int64_t ValueHistogram::zeros() const { return counts_[kZeroBin]; }

std::vector<double> ValueHistogram::percentiles(std::span<const double> percents,
                                                bool nonzero) const {
  const int64_t values = count() - (nonzero ? zeros() : 0);
  std::vector<double> result;
  if (values == 0) return result;
  int64_t below = 0;  // values up to and with `bin`
  size_t bin = kBins - 1;
  size_t next = 0;
  for (const double percent : percents) {
    const auto rank = std::max<int64_t>(
        1, static_cast<int64_t>(std::ceil(percent / 100.0 * static_cast<double>(values))));
    while (below < rank && next < kBins) {
      if (!nonzero || next != kZeroBin) below += counts_[next];
      bin = next++;
    }
    result.push_back(value_of(bin));
  }
  return result;
}

}  // namespace wholemount
