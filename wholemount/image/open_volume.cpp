#include <array>
#include <cstring>
#include <string_view>

#include "wholemount/image/nifti_reader.h"
#include "wholemount/image/png_reader.h"
#include "wholemount/image/tiff_reader.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

std::unique_ptr<VolumeReader> open_volume(const std::string& path) {
  std::unique_ptr<ByteSource> source = open_byte_source(path);
  std::array<std::byte, 8> first{};
  const size_t count = source->read_some(0, first);
  const auto begins_with = [&](std::string_view magic) {
    return count >= magic.size() && std::memcmp(first.data(), magic.data(), magic.size()) == 0;
  };
  using std::string_view_literals::operator""sv;
  if (begins_with("II*\0"sv) || begins_with("MM\0*"sv) || begins_with("II+\0"sv) ||
      begins_with("MM\0+"sv)) {
    return std::make_unique<TiffReader>(std::move(source));
  }
  if (begins_with("\x89PNG\r\n\x1a\n")) return std::make_unique<PngReader>(std::move(source));
  // By path: the header may stand in a file of its own.
  return std::make_unique<NiftiReader>(path);
}

}  // namespace wholemount
