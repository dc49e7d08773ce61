#include "bench/options.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "wholemount/base/error.h"

namespace wholemount::bench {

namespace {

Isa isa_of_this_machine(const std::string& name) {
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (isa_name(isa) == name && isa <= best_isa()) return isa;
  }
  throw ConfigError("--isa " + name + ": this machine does not have it");
}

int count_of(const std::string& option, const std::string& text) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < 1) {
    throw ConfigError(option + " " + text + ": wanted a number of at least 1");
  }
  return count;
}

}  // namespace

void parse_options(int argc, char** argv, const char* usage, CommonOptions& common,
                   const TakeWord& take) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) throw ConfigError(word + ": wanted a value");
      return argv[++i];
    };
    if (word == "--help" || word == "-h") {
      std::fputs(usage, stdout);
      std::exit(0);
    } else if (word == "--threads") {
      common.threads = count_of(word, value());
    } else if (word == "--rounds") {
      common.rounds = count_of(word, value());
    } else if (word == "--isa") {
      common.target.isa = isa_of_this_machine(value());
    } else if (!take(word, value)) {
      throw ConfigError("unknown option " + word + "; see --help");
    }
  }
}

}  // namespace wholemount::bench
