#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "wholemount/image/nifti_reader.h"
#include "wholemount/image/volume_header.h"

namespace wholemount {

/// Writes a volume as .nii or .nii.gz (by the suffix of the path) with a given geometry, whose
/// stored fields are kept to the bit. The file appears only when `finish` has succeeded.
/// Memory: at most kNiftiWriterBytes. Throws OutputError for every failure (exit 5), ConfigError
/// for another suffix.
class NiftiWriter {
 public:
  /// `like` gives extent and geometry; the file has `channels` channels of type `stored`
  /// (u8, i16 or f32), slope 1 and intercept 0.
  NiftiWriter(const std::string& path, const VolumeHeader& like, VoxelType stored,
              int64_t channels = 1);
  NiftiWriter(const NiftiWriter&) = delete;
  NiftiWriter& operator=(const NiftiWriter&) = delete;
  ~NiftiWriter();

  /// Writes planes [d, h, w]; the element type must be the stored one (InternalError otherwise).
  /// A .nii takes planes in any order; a .nii.gz in the order of the file: channel by channel, d
  /// rising.
  void write_planes(const PlaneRange& planes, std::span<const uint8_t> values);
  void write_planes(const PlaneRange& planes, std::span<const int16_t> values);
  void write_planes(const PlaneRange& planes, std::span<const float> values);

  /// Completes the file, which must have got each of its planes, and puts it in place.
  void finish();

 private:
  struct State;
  void write(const PlaneRange& planes, std::span<const std::byte> bytes, VoxelType type);
  std::unique_ptr<State> state_;
};

/// Writes a whole label map [d, h, w] (1 byte a voxel) with the geometry of `like`.
void write_label_map(const std::string& path, const VolumeHeader& like,
                     std::span<const uint8_t> labels);

/// Upper bound of the memory one writer holds: zlib's deflate state and the output buffer.
constexpr size_t kNiftiWriterBytes = size_t{512} << 10;

}  // namespace wholemount
