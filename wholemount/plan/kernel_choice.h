#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "wholemount/base/cpu.h"

namespace wholemount {

/// Which kernels a run may use: the fastest by estimate, or, to compare and to find errors, only
/// direct convolutions, only one size of Winograd tile wherever it is defined, or the plain loops
/// of the reference. The choice changes the bits of the result.
enum class KernelChoice : uint8_t { best, direct, winograd2, winograd24, winograd4, reference };

struct KernelChoiceName {
  std::string_view name;
  KernelChoice choice;
};
[[nodiscard]] const std::vector<KernelChoiceName>& kernel_choices();

/// Throws ConfigError naming the known ones; `where` begins the message.
[[nodiscard]] KernelChoice kernel_choice_named(std::string_view name, std::string_view where);

/// The target of this machine with the choice in force.
[[nodiscard]] Target target_with(KernelChoice choice);

}  // namespace wholemount
