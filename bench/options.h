#pragma once

#include <functional>
#include <string>

#include "wholemount/base/cpu.h"

namespace wholemount::bench {

/// What every benchmark of kernels is told.
struct CommonOptions {
  int threads = usable_cpus();
  int rounds = 5;
  Target target;
};

/// Takes one word of a benchmark's own; `value` gives the word after it. False: unknown.
using TakeWord =
    std::function<bool(const std::string& word, const std::function<std::string()>& value)>;

/// Reads --threads, --rounds and --isa into `common` and hands other words to `take`; --help prints
/// `usage` and exits. Throws ConfigError: a word nobody knows, a number below 1, a missing value,
/// an instruction set this machine does not have.
void parse_options(int argc, char** argv, const char* usage, CommonOptions& common,
                   const TakeWord& take);

}  // namespace wholemount::bench
