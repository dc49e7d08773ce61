#pragma once

#include <string>

namespace wholemount {

/// Sequential direct I/O of large blocks, as spilling does it.
struct DiskRates {
  double read_bytes_per_second = 0;
  double write_bytes_per_second = 0;
};

/// Writes and reads 512 MiB of scratch space in `folder`, in blocks of 32 MiB. Throws OutputError
/// as SpillFile does.
[[nodiscard]] DiskRates measure_disk_rates(const std::string& folder);

}  // namespace wholemount
