#include "wholemount/plan/kernel_choice.h"

#include <string>

#include "wholemount/base/error.h"

namespace wholemount {

const std::vector<KernelChoiceName>& kernel_choices() {
  static const std::vector<KernelChoiceName> choices{
      {"best", KernelChoice::best},           {"direct", KernelChoice::direct},
      {"winograd2", KernelChoice::winograd2}, {"winograd24", KernelChoice::winograd24},
      {"winograd4", KernelChoice::winograd4}, {"reference", KernelChoice::reference}};
  return choices;
}

KernelChoice kernel_choice_named(std::string_view name, std::string_view where) {
  std::string known;
  for (const KernelChoiceName& one : kernel_choices()) {
    if (one.name == name) return one.choice;
    known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  throw ConfigError(std::string(where) + ": no kernels are called \"" + std::string(name) +
                    "\"; known: " + known);
}

Target target_with(KernelChoice choice) {
  Target target;
  switch (choice) {
    case KernelChoice::best:
      break;
    case KernelChoice::direct:
      target.convolution = Convolution::direct;
      break;
    case KernelChoice::winograd2:
      target.convolution = Convolution::winograd2;
      break;
    case KernelChoice::winograd24:
      target.convolution = Convolution::winograd24;
      break;
    case KernelChoice::winograd4:
      target.convolution = Convolution::winograd4;
      break;
    case KernelChoice::reference:
      target.reference = true;
      break;
  }
  return target;
}

}  // namespace wholemount
