#pragma once

#include <string>

#include "wholemount/base/cpu.h"

namespace wholemount::bench {

/// The instruction set --isa asks for; throws ConfigError when this machine does not have it.
[[nodiscard]] Isa isa_of_this_machine(const std::string& name);

}  // namespace wholemount::bench
