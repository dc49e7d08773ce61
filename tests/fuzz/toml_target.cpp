// A configuration; what is accepted must survive being written and read again.

#include "tests/fuzz/fuzz_target.h"
#include "wholemount/train/config.h"

namespace {

constexpr char kName[] = "fuzz.toml";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(wholemount::fuzz::as_text(data, size));
  wholemount::RunConfig config;
  try {
    config = wholemount::parse_config(text, kName);
  } catch (const wholemount::ConfigError& error) {
    wholemount::fuzz::check_names_source(error, kName);
    return 0;
  }
  const std::string resolved = to_toml(config);
  // Throws, which is a finding, when the resolved text is refused.
  const wholemount::RunConfig again = wholemount::parse_config(resolved, kName);
  if (again != config)
    wholemount::fuzz::finding("the resolved file reads differently: " + resolved);
  if (config_digest(again) != config_digest(config)) {
    wholemount::fuzz::finding("the digest changed with the spelling");
  }
  return 0;
}
