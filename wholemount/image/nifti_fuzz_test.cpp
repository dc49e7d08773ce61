// A second of seeded mutations of small files: whatever the bytes, reading ends in voxels or in a
// FileError, and never allocates by what a header claims.

#include <array>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/rng.h"
#include "wholemount/image/nifti_reader.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::gzip;
using testing::make_header;
using testing::make_nifti;

void read_everything(std::vector<std::byte> bytes) {
  try {
    NiftiReader reader(open_memory_source(std::move(bytes), "fuzz.nii"));
    // A few thousand voxels are enough; compressed zeros may stand for millions.
    if (volume(reader.header().extent) > 100'000) return;
    reader.verify_payload(NonFinite::refuse);
    std::vector<uint8_t> labels(static_cast<size_t>(volume(reader.header().extent)));
    reader.read_labels({0, 0, reader.header().extent.d}, labels);
  } catch (const FileError& error) {
    EXPECT_NE(std::string(error.what()).find("fuzz.nii"), std::string::npos);
  }
}

std::vector<std::byte> mutated(std::vector<std::byte> bytes, CounterRng* rng) {
  const uint64_t num_changes = 1 + rng->next_below(4);
  for (uint64_t i = 0; i < num_changes; ++i) {
    const size_t at = rng->next_below(bytes.size());
    switch (rng->next_below(4)) {
      case 0:
        bytes[at] = static_cast<std::byte>(rng->next_below(256));
        break;
      case 1:
        bytes[at] ^= static_cast<std::byte>(1U << rng->next_below(8));
        break;
      case 2: {
        constexpr std::array<uint8_t, 4> kExtremes{0x00, 0x7f, 0x80, 0xff};
        for (size_t k = at; k < std::min(at + 4, bytes.size()); ++k) {
          bytes[k] = static_cast<std::byte>(kExtremes[rng->next_below(4)]);
        }
        break;
      }
      default:
        bytes.resize(1 + at);
        break;
    }
  }
  return bytes;
}

TEST(NiftiFuzz, any_bytes_end_in_voxels_or_a_file_error_within_little_memory) {
  VolumeHeader two = make_header({2, 3, 4}, VoxelType::i16, 2);
  two.geometry.nifti.version = 2;
  const std::vector<int16_t> voxels(48, 3);
  const std::array<std::vector<std::byte>, 2> seeds{
      make_nifti(make_header({2, 3, 4}, VoxelType::f32, 2), std::vector<float>(48, 1.5F)),
      make_nifti(two, voxels)};
  CounterRng rng(1, 0, 0, "fuzz");
  [[maybe_unused]] const size_t before = process_memory().peak_resident_bytes;
  const double start = monotonic_seconds();
  int64_t runs = 0;
  while (monotonic_seconds() - start < 1.0) {
    const auto& seed = seeds[rng.next_below(2)];
    const uint64_t kind = rng.next_below(3);
    if (kind == 0) {
      read_everything(mutated(seed, &rng));
    } else if (kind == 1) {
      read_everything(gzip(mutated(seed, &rng)));
    } else {
      read_everything(mutated(gzip(seed), &rng));
    }
    ++runs;
  }
  EXPECT_GT(runs, 100);
#ifndef __SANITIZE_ADDRESS__  // it keeps freed memory for a while
  // Buffers of a reader, the files, and what an allocator keeps.
  EXPECT_LT(process_memory().peak_resident_bytes - before, size_t{32} << 20);
#endif
}

}  // namespace
}  // namespace wholemount
