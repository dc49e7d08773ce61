#include "cli/job_options.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

namespace wholemount::cli {

RunConfig read_config(const ConfigOptions& options, const CommonOptions& common) {
  std::vector<std::string> overrides = options.overrides;
  if (!options.kernels.empty()) {
    overrides.push_back("train.kernels=" + options.kernels);
  }
  RunConfig config = wholemount::read_config(options.path, overrides);
  if (common.seed.has_value()) {
    config.train.seed = static_cast<int64_t>(*common.seed);
  }
  return config;
}

std::string format_duration(double seconds) {
  if (seconds < 60) {
    return seconds < 1 ? fmt::format("{:.3f} s", seconds) : fmt::format("{:.1f} s", seconds);
  }
  const auto total = static_cast<int64_t>(std::llround(seconds));
  if (total < 3600) {
    return fmt::format("{} min {} s", total / 60, total % 60);
  }
  if (total < 86400) {
    return fmt::format("{} h {} min", total / 3600, total % 3600 / 60);
  }
  return fmt::format("{} d {} h", total / 86400, total % 86400 / 3600);
}

std::string format_count(double value) {
  constexpr std::array kPrefixes = {"", " k", " M", " G", " T", " P", " E"};
  size_t prefix = 0;
  while (std::fabs(value) >= 1000 && prefix + 1 < kPrefixes.size()) {
    value /= 1000;
    ++prefix;
  }
  return fmt::format("{:.3g}{}", value, kPrefixes[prefix]);
}

}  // namespace wholemount::cli
