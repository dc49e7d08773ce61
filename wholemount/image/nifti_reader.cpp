#include "wholemount/image/nifti_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string_view>

#include "wholemount/base/error.h"
#include "wholemount/image/nifti_header.h"
#include "wholemount/image/voxel_convert.h"

namespace wholemount {

namespace {

constexpr size_t kDecodeBytes = size_t{256} << 10;

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "infinity" : "-infinity";
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

struct PairNames {
  std::string header;
  std::string voxels;
};

// Tries the four spellings of a pair: either half may be named, either may be compressed.
std::optional<PairNames> pair_of(const std::string& path) {
  constexpr std::array<std::string_view, 4> kSuffixes{".hdr.gz", ".img.gz", ".hdr", ".img"};
  for (const std::string_view suffix : kSuffixes) {
    if (!path.ends_with(suffix)) continue;
    const std::string stem = path.substr(0, path.size() - suffix.size());
    const auto existing = [&](const char* half) {
      const std::string plain = stem + half;
      const std::string compressed = plain + ".gz";
      return !std::filesystem::exists(plain) && std::filesystem::exists(compressed) ? compressed
                                                                                    : plain;
    };
    return PairNames{existing(".hdr"), existing(".img")};
  }
  return std::nullopt;
}

VoxelDecoding decoding_of(const VolumeHeader& header) {
  return {header.stored, header.big_endian, header.slope, header.intercept};
}

}  // namespace

NiftiReader::NiftiReader(const std::string& path) : buffer_(kDecodeBytes) {
  const std::optional<PairNames> pair = pair_of(path);
  source_ = open_byte_source(pair ? pair->header : path);
  bool paired = false;
  header_ = read_nifti_header(*source_, pair ? &paired : nullptr);
  if (paired) source_ = open_byte_source(pair->voxels);
  check_payload_fits(header_, *source_);
}

NiftiReader::NiftiReader(std::unique_ptr<ByteSource> source)
    : source_(std::move(source)), buffer_(kDecodeBytes) {
  header_ = read_nifti_header(*source_);
  check_payload_fits(header_, *source_);
}

int64_t NiftiReader::byte_offset(const PlaneRange& planes) const {
  return header_.data_offset +
         (planes.channel * header_.extent.d + planes.first) * header_.plane_bytes();
}

std::string NiftiReader::voxel_name(const PlaneRange& planes, size_t index) const {
  const Extent3& extent = header_.extent;
  const auto position = static_cast<int64_t>(index);
  const int64_t d = planes.first + position / (extent.h * extent.w);
  const int64_t h = position / extent.w % extent.h;
  const int64_t w = position % extent.w;
  return "voxel [" + std::to_string(d) + ", " + std::to_string(h) + ", " + std::to_string(w) +
         "] (d, h, w)" +
         (header_.channels > 1 ? " of channel " + std::to_string(planes.channel) : "");
}

void NiftiReader::finish_range(const PlaneRange& planes) {
  if (verified_ || planes.channel + 1 != header_.channels ||
      planes.first + planes.count != header_.extent.d) {
    return;
  }
  source_->verify_to_end();
  verified_ = true;
}

template <class Value, class Decode>
void NiftiReader::decode_planes(const PlaneRange& planes, std::span<Value> values,
                                const Decode& decode) {
  const Extent3& extent = header_.extent;
  WM_CHECK(planes.channel >= 0 && planes.channel < header_.channels && planes.first >= 0 &&
               planes.count >= 0 && planes.first + planes.count <= extent.d,
           "planes outside the volume");
  WM_CHECK(static_cast<int64_t>(values.size()) == planes.count * extent.h * extent.w,
           "the buffer does not have the size of the planes");
  const auto size = static_cast<size_t>(voxel_bytes(header_.stored));
  const size_t voxels_at_once = buffer_.size() / size;
  const int64_t offset = byte_offset(planes);
  for (size_t done = 0; done < values.size(); done += voxels_at_once) {
    const size_t count = std::min(voxels_at_once, values.size() - done);
    source_->read(offset + static_cast<int64_t>(done * size), {buffer_.data(), count * size});
    decode(done, buffer_.data(), values.subspan(done, count));
  }
  finish_range(planes);
}

void NiftiReader::read_planes(const PlaneRange& planes, std::span<float> values,
                              NonFinite non_finite) {
  const VoxelDecoding decoding = decoding_of(header_);
  decode_planes(planes, values, [&](size_t done, const std::byte* stored, std::span<float> part) {
    const std::optional<BadVoxel> bad = decode_floats(decoding, stored, part);
    if (bad && non_finite == NonFinite::refuse) {
      const size_t index = done + bad->index;
      throw FileError(
          path(), byte_offset(planes) + static_cast<int64_t>(index) * voxel_bytes(header_.stored),
          voxel_name(planes, index) + " is " + number(bad->value) +
              ", wanted a finite float32 number; clean the image first");
    }
  });
}

namespace {

template <class Label>
const char* label_range() {
  return sizeof(Label) == 1 ? "a whole number from 0 to 255" : "a whole number of 32 bits";
}

}  // namespace

void NiftiReader::read_labels(const PlaneRange& planes, std::span<uint8_t> values) {
  const VoxelDecoding decoding = decoding_of(header_);
  decode_planes(planes, values, [&](size_t done, const std::byte* stored, std::span<uint8_t> part) {
    if (const auto bad = decode_labels(decoding, stored, part)) {
      throw FileError(path(), voxel_name(planes, done + bad->index) + " is " + number(bad->value) +
                                  ", wanted a label: " + label_range<uint8_t>());
    }
  });
}

void NiftiReader::read_labels(const PlaneRange& planes, std::span<int32_t> values) {
  const VoxelDecoding decoding = decoding_of(header_);
  decode_planes(planes, values, [&](size_t done, const std::byte* stored, std::span<int32_t> part) {
    if (const auto bad = decode_labels(decoding, stored, part)) {
      throw FileError(path(), voxel_name(planes, done + bad->index) + " is " + number(bad->value) +
                                  ", wanted a label: " + label_range<int32_t>());
    }
  });
}

void NiftiReader::verify_payload(NonFinite non_finite) {
  const Extent3& extent = header_.extent;
  const int64_t plane_bytes = header_.plane_bytes();
  const int64_t size = voxel_bytes(header_.stored);
  const VoxelDecoding decoding = decoding_of(header_);
  std::array<float, 4096> values;
  const auto chunk = static_cast<int64_t>(values.size()) * size;
  for (int64_t channel = 0; channel < header_.channels; ++channel) {
    for (int64_t d = 0; d < extent.d; ++d) {
      const PlaneRange plane{channel, d, 1};
      for (int64_t done = 0; done < plane_bytes; done += chunk) {
        const int64_t bytes = std::min(chunk, plane_bytes - done);
        source_->read(byte_offset(plane) + done, {buffer_.data(), static_cast<size_t>(bytes)});
        if (non_finite == NonFinite::accept) continue;
        const auto bad = decode_floats(decoding, buffer_.data(),
                                       {values.data(), static_cast<size_t>(bytes / size)});
        if (bad) {
          const size_t index = static_cast<size_t>(done / size) + bad->index;
          throw FileError(path(), byte_offset(plane) + static_cast<int64_t>(index) * size,
                          voxel_name(plane, index) + " is " + number(bad->value) +
                              ", wanted a finite float32 number");
        }
      }
    }
  }
  finish_range({header_.channels - 1, extent.d - 1, 1});
}

}  // namespace wholemount
