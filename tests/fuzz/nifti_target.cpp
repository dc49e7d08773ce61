// A NIfTI file, plain or compressed: header, every voxel as a number and as a label.

#include <vector>

#include "tests/fuzz/fuzz_target.h"
#include "wholemount/image/nifti_reader.h"

namespace {

constexpr char kName[] = "fuzz.nii";
// Compressed zeros may stand for millions of voxels; a few thousand find what there is to find.
constexpr int64_t kMostVoxels = 50'000;

template <class Read>
void run(const uint8_t* data, size_t size, const Read& read) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    wholemount::NiftiReader reader(wholemount::open_memory_source({bytes, bytes + size}, kName));
    const wholemount::VolumeHeader& header = reader.header();
    const int64_t voxels = wholemount::volume(header.extent);
    if (voxels > kMostVoxels || header.channels > kMostVoxels / voxels) return;
    read(reader, header);
  } catch (const wholemount::FileError& error) {
    wholemount::fuzz::check_names_source(error, kName);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using wholemount::NiftiReader;
  using wholemount::VolumeHeader;
  run(data, size, [](NiftiReader& reader, const VolumeHeader& header) {
    (void)to_string(header);
    reader.verify_payload(wholemount::NonFinite::accept);
  });
  run(data, size, [](NiftiReader& reader, const VolumeHeader& header) {
    std::vector<uint8_t> labels(static_cast<size_t>(volume(header.extent)));
    for (int64_t channel = header.channels; channel-- > 0;) {
      reader.read_labels({channel, 0, header.extent.d}, labels);
    }
  });
  run(data, size, [](NiftiReader& reader, const VolumeHeader& header) {
    std::vector<float> plane(static_cast<size_t>(header.extent.h * header.extent.w));
    for (int64_t d = header.extent.d; d-- > 0;) reader.read_planes({0, d, 1}, plane);
  });
  return 0;
}
