#include <array>
#include <cstring>

#include "wholemount/image/nifti_reader.h"
#include "wholemount/image/png_reader.h"
#include "wholemount/image/tiff_reader.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

std::unique_ptr<VolumeReader> open_volume(const std::string& path) {
  std::unique_ptr<ByteSource> source = open_byte_source(path);
  std::array<std::byte, 8> first{};
  const size_t count = source->read_some(0, first);
  const auto begins_with = [&](const char* magic, size_t length) {
    return count >= length && std::memcmp(first.data(), magic, length) == 0;
  };
  if (begins_with("II*\0", 4) || begins_with("MM\0*", 4) || begins_with("II+\0", 4) ||
      begins_with("MM\0+", 4)) {
    return std::make_unique<TiffReader>(std::move(source));
  }
  if (begins_with("\x89PNG\r\n\x1a\n", 8)) return std::make_unique<PngReader>(std::move(source));
  // By path: the header may stand in a file of its own.
  return std::make_unique<NiftiReader>(path);
}

}  // namespace wholemount
