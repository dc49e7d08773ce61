#include "wholemount/data/split.h"

#include <cmath>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/rng.h"

namespace wholemount {

namespace {

// Absorbs the rounding of sums of fractions such as 0.85 + 0.075 + 0.075.
constexpr double kFractionSlack = 1e-9;

// Fisher-Yates.
void permute(std::vector<int64_t>* items, CounterRng rng) {
  for (size_t last = items->size(); last > 1; --last) {
    std::swap((*items)[last - 1], (*items)[rng.next_below(last)]);
  }
}

void check_fraction(double fraction, const char* name) {
  if (!(fraction >= 0.0 && fraction <= 1.0)) {
    throw ConfigError(std::string("data.split: ") + name + " = " + std::to_string(fraction) +
                      " is not between 0 and 1");
  }
}

}  // namespace

Split make_split(int64_t num_cases, const SplitSpec& spec) {
  check_fraction(spec.train, "train");
  check_fraction(spec.validation, "validation");
  check_fraction(spec.test, "test");
  if (spec.train + spec.validation + spec.test > 1.0 + kFractionSlack) {
    throw ConfigError("data.split: the fractions add up to more than 1; lower one of them");
  }
  std::vector<int64_t> order(static_cast<size_t>(num_cases));
  std::iota(order.begin(), order.end(), int64_t{0});
  permute(&order, CounterRng(spec.seed, 0, 0, "split"));

  Split split;
  double fractions = 0.0;
  auto begin = order.begin();
  const auto take = [&](double fraction, const char* name) {
    fractions += fraction;
    const double ends = static_cast<double>(num_cases) * fractions + kFractionSlack;
    const auto end = fraction > 0 ? order.begin() + static_cast<int64_t>(std::floor(ends)) : begin;
    if (fraction > 0 && end == begin) {
      throw ConfigError(std::string("data.split: empty split \"") + name +
                        "\": " + std::to_string(fraction) + " of " + std::to_string(num_cases) +
                        " cases is none; raise the fraction or set it to 0");
    }
    const std::vector<int64_t> part(begin, end);
    begin = end;
    return part;
  };
  split.train = take(spec.train, "train");
  split.validation = take(spec.validation, "validation");
  split.test = take(spec.test, "test");
  return split;
}

std::vector<int64_t> shuffle_for_epoch(std::vector<int64_t> cases, uint64_t seed, uint64_t epoch) {
  permute(&cases, CounterRng(seed, epoch, 0, "shuffle"));
  return cases;
}

}  // namespace wholemount
