#include "bench/isa_option.h"

#include "wholemount/base/error.h"

namespace wholemount::bench {

Isa isa_of_this_machine(const std::string& name) {
  for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
    if (isa_name(isa) == name && isa <= best_isa()) return isa;
  }
  throw ConfigError("--isa " + name + ": this machine does not have it");
}

}  // namespace wholemount::bench
