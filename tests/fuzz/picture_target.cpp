// A TIFF or PNG file: header, every voxel in order, then the last row of each plane first.

#include <vector>

#include "tests/fuzz/fuzz_target.h"
#include "wholemount/image/png_reader.h"
#include "wholemount/image/tiff_reader.h"

namespace {

constexpr char kName[] = "fuzz.picture";
constexpr int64_t kMostVoxels = 50'000;

template <class Reader>
void run(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    Reader reader(wholemount::open_memory_source({bytes, bytes + size}, kName));
    const wholemount::VolumeHeader& header = reader.header();
    (void)to_string(header);
    const int64_t voxels = wholemount::volume(header.extent);
    if (voxels > kMostVoxels || header.channels > kMostVoxels / voxels) return;
    reader.verify_payload(wholemount::NonFinite::accept);
    std::vector<float> row(static_cast<size_t>(header.extent.w));
    for (int64_t h = header.extent.d * header.extent.h; h-- > 0;) {
      reader.read_run({header.channels - 1, h * header.extent.w, header.extent.w}, row,
                      wholemount::NonFinite::accept);
    }
  } catch (const wholemount::FileError& error) {
    wholemount::fuzz::check_names_source(error, kName);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  run<wholemount::TiffReader>(data, size);
  run<wholemount::PngReader>(data, size);
  return 0;
}
