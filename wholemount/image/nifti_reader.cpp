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

VoxelRun NiftiReader::run_of(const PlaneRange& planes) const {
  const int64_t plane = header_.extent.h * header_.extent.w;
  return {planes.channel, planes.first * plane, planes.count * plane};
}

int64_t NiftiReader::byte_offset(int64_t channel, int64_t voxel) const {
  return header_.data_offset +
         (channel * volume(header_.extent) + voxel) * voxel_bytes(header_.stored);
}

std::string NiftiReader::voxel_name(int64_t channel, int64_t voxel) const {
  const Extent3& extent = header_.extent;
  return "voxel [" + std::to_string(voxel / (extent.h * extent.w)) + ", " +
         std::to_string(voxel / extent.w % extent.h) + ", " + std::to_string(voxel % extent.w) +
         "] (d, h, w)" + (header_.channels > 1 ? " of channel " + std::to_string(channel) : "");
}

FileError NiftiReader::not_finite(int64_t channel, int64_t voxel, double value) const {
  return {path(), byte_offset(channel, voxel),
          voxel_name(channel, voxel) + " is " + number(value) +
              ", wanted a finite float32 number; clean the image first"};
}

template <class Value, class Decode>
void NiftiReader::decode_run(const VoxelRun& run, std::span<Value> values, const Decode& decode) {
  const int64_t channel_voxels = volume(header_.extent);
  WM_CHECK(run.channel >= 0 && run.channel < header_.channels && run.first >= 0 && run.count >= 0 &&
               run.first + run.count <= channel_voxels,
           "voxels outside the volume");
  WM_CHECK(static_cast<int64_t>(values.size()) == run.count,
           "the buffer does not have the size of the region");
  const auto size = static_cast<size_t>(voxel_bytes(header_.stored));
  const size_t voxels_at_once = buffer_.size() / size;
  for (size_t done = 0; done < values.size(); done += voxels_at_once) {
    const size_t count = std::min(voxels_at_once, values.size() - done);
    const int64_t voxel = run.first + static_cast<int64_t>(done);
    source_->read(byte_offset(run.channel, voxel), {buffer_.data(), count * size});
    decode(voxel, buffer_.data(), values.subspan(done, count));
  }
  if (!verified_ && run.channel + 1 == header_.channels &&
      run.first + run.count == channel_voxels) {
    source_->verify_to_end();
    verified_ = true;
  }
}

void NiftiReader::read_run(const VoxelRun& run, std::span<float> values, NonFinite non_finite) {
  const VoxelDecoding decoding = decoding_of(header_);
  decode_run(run, values, [&](int64_t voxel, const std::byte* stored, std::span<float> part) {
    const std::optional<BadVoxel> bad = decode_floats(decoding, stored, part);
    if (bad && non_finite == NonFinite::refuse) {
      throw not_finite(run.channel, voxel + static_cast<int64_t>(bad->index), bad->value);
    }
  });
}

template <class Label>
void NiftiReader::decode_label_run(const VoxelRun& run, std::span<Label> values) {
  const VoxelDecoding decoding = decoding_of(header_);
  decode_run(run, values, [&](int64_t voxel, const std::byte* stored, std::span<Label> part) {
    if (const auto bad = decode_labels(decoding, stored, part)) {
      throw FileError(path(), voxel_name(run.channel, voxel + static_cast<int64_t>(bad->index)) +
                                  " is " + number(bad->value) + ", wanted a label: " +
                                  (sizeof(Label) == 1 ? "a whole number from 0 to 255"
                                                      : "a whole number of 32 bits"));
    }
  });
}

void NiftiReader::read_label_run(const VoxelRun& run, std::span<uint8_t> values) {
  decode_label_run(run, values);
}

void NiftiReader::read_label_run(const VoxelRun& run, std::span<int32_t> values) {
  decode_label_run(run, values);
}

void NiftiReader::read_planes(const PlaneRange& planes, std::span<float> values,
                              NonFinite non_finite) {
  read_run(run_of(planes), values, non_finite);
}

void NiftiReader::read_labels(const PlaneRange& planes, std::span<uint8_t> values) {
  decode_label_run(run_of(planes), values);
}

void NiftiReader::read_labels(const PlaneRange& planes, std::span<int32_t> values) {
  decode_label_run(run_of(planes), values);
}

void NiftiReader::verify_payload(NonFinite non_finite) {
  std::array<float, 8192> values;
  const int64_t voxels = volume(header_.extent);
  for (int64_t channel = 0; channel < header_.channels; ++channel) {
    for (int64_t voxel = 0; voxel < voxels; voxel += static_cast<int64_t>(values.size())) {
      const int64_t count = std::min<int64_t>(static_cast<int64_t>(values.size()), voxels - voxel);
      read_run({channel, voxel, count}, std::span(values).first(static_cast<size_t>(count)),
               non_finite);
    }
  }
}

}  // namespace wholemount
