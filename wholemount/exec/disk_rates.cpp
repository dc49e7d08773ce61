#include "wholemount/exec/disk_rates.h"

#include <algorithm>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/exec/spill_file.h"

namespace wholemount {

namespace {
constexpr size_t kBlockBytes = size_t{32} << 20;
constexpr size_t kBlocks = 16;
}  // namespace

DiskRates measure_disk_rates(const std::string& folder) {
  SpillFile file(folder, kBlocks * kBlockBytes);
  const PageBuffer buffer(kBlockBytes);
  // Something to write, so that no layer below can skip zeros.
  auto* words = reinterpret_cast<uint64_t*>(buffer.data());
  for (size_t i = 0; i < kBlockBytes / sizeof(uint64_t); ++i) {
    words[i] = i * 0x9E3779B97F4A7C15ULL;
  }
  DiskRates rates;
  // The first pass over reserved space also records it as written; the second is what counts.
  for (int pass = 0; pass < 2; ++pass) {
    const double begin = monotonic_seconds();
    for (size_t block = 0; block < kBlocks; ++block) {
      file.write(block * kBlockBytes, buffer.data(), kBlockBytes);
    }
    const double written = monotonic_seconds();
    for (size_t block = 0; block < kBlocks; ++block) {
      file.read(block * kBlockBytes, buffer.data(), kBlockBytes);
    }
    const double read = monotonic_seconds();
    constexpr auto kBytes = static_cast<double>(kBlocks * kBlockBytes);
    rates.write_bytes_per_second = kBytes / std::max(written - begin, 1e-9);
    rates.read_bytes_per_second = kBytes / std::max(read - written, 1e-9);
  }
  return rates;
}

}  // namespace wholemount
