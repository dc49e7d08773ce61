#include "wholemount/image/volume_reader.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "wholemount/image/voxel_convert.h"

namespace wholemount {

namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "infinity" : "-infinity";
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

std::optional<int64_t> VolumeReader::byte_offset(int64_t /*channel*/, int64_t /*voxel*/) const {
  return std::nullopt;
}

VoxelRun VolumeReader::run_of(const PlaneRange& planes) const {
  const int64_t plane = header_.extent.h * header_.extent.w;
  return {planes.channel, planes.first * plane, planes.count * plane};
}

std::string VolumeReader::voxel_name(int64_t channel, int64_t voxel) const {
  const Extent3& extent = header_.extent;
  return "voxel [" + std::to_string(voxel / (extent.h * extent.w)) + ", " +
         std::to_string(voxel / extent.w % extent.h) + ", " + std::to_string(voxel % extent.w) +
         "] (d, h, w)" + (header_.channels > 1 ? " of channel " + std::to_string(channel) : "");
}

FileError VolumeReader::not_finite(int64_t channel, int64_t voxel, double value) const {
  const std::string reason = voxel_name(channel, voxel) + " is " + number(value) +
                             ", wanted a finite float32 number; clean the image first";
  const std::optional<int64_t> offset = byte_offset(channel, voxel);
  return offset ? FileError(path(), *offset, reason) : FileError(path(), reason);
}

template <class Value, class Decode>
void VolumeReader::decode_run(const VoxelRun& run, std::span<Value> values, const Decode& decode) {
  WM_CHECK(run.channel >= 0 && run.channel < header_.channels && run.first >= 0 && run.count >= 0 &&
               run.first + run.count <= volume(header_.extent),
           "voxels outside the volume");
  WM_CHECK(static_cast<int64_t>(values.size()) == run.count,
           "the buffer does not have the size of the region");
  buffer_.resize(kDecodeBytes);
  const auto size = static_cast<size_t>(voxel_bytes(header_.stored));
  const size_t voxels_at_once = buffer_.size() / size;
  const VoxelDecoding decoding{header_.stored, stored_big_endian(), header_.slope,
                               header_.intercept};
  for (size_t done = 0; done < values.size(); done += voxels_at_once) {
    const size_t count = std::min(voxels_at_once, values.size() - done);
    const int64_t voxel = run.first + static_cast<int64_t>(done);
    read_stored({run.channel, voxel, static_cast<int64_t>(count)}, {buffer_.data(), count * size});
    decode(decoding, voxel, values.subspan(done, count));
  }
}

void VolumeReader::read_run(const VoxelRun& run, std::span<float> values, NonFinite non_finite) {
  decode_run(run, values, [&](const VoxelDecoding& decoding, int64_t voxel, std::span<float> part) {
    const std::optional<BadVoxel> bad = decode_floats(decoding, buffer_.data(), part);
    if (bad && non_finite == NonFinite::refuse) {
      throw not_finite(run.channel, voxel + static_cast<int64_t>(bad->index), bad->value);
    }
  });
}

template <class Label>
void VolumeReader::decode_label_run(const VoxelRun& run, std::span<Label> values) {
  decode_run(run, values, [&](const VoxelDecoding& decoding, int64_t voxel, std::span<Label> part) {
    if (const auto bad = decode_labels(decoding, buffer_.data(), part)) {
      throw FileError(path(), voxel_name(run.channel, voxel + static_cast<int64_t>(bad->index)) +
                                  " is " + number(bad->value) + ", wanted a label: " +
                                  (sizeof(Label) == 1 ? "a whole number from 0 to 255"
                                                      : "a whole number of 32 bits"));
    }
  });
}

void VolumeReader::read_label_run(const VoxelRun& run, std::span<uint8_t> values) {
  decode_label_run(run, values);
}

void VolumeReader::read_label_run(const VoxelRun& run, std::span<int32_t> values) {
  decode_label_run(run, values);
}

void VolumeReader::read_planes(const PlaneRange& planes, std::span<float> values,
                               NonFinite non_finite) {
  read_run(run_of(planes), values, non_finite);
}

void VolumeReader::read_labels(const PlaneRange& planes, std::span<uint8_t> values) {
  decode_label_run(run_of(planes), values);
}

void VolumeReader::read_labels(const PlaneRange& planes, std::span<int32_t> values) {
  decode_label_run(run_of(planes), values);
}

void VolumeReader::verify_payload(NonFinite non_finite) {
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
