#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "wholemount/image/byte_source.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

/// Reads a NIfTI-1 or NIfTI-2 volume (.nii, .nii.gz, .hdr/.img with or without .gz) region by
/// region. Voxels arrive in the order [d, h, w] = the file's (z, y, x). Rising planes and channels
/// are read in one pass over a compressed file; going back starts its decompression again.
/// Memory: at most kNiftiReaderBytes whatever the volume's size. Not thread-safe.
class NiftiReader final : public VolumeReader {
 public:
  /// Opens the file and reads its header; the payload claimed must be able to lie in the file.
  /// Throws FileError with path, byte offset and reason.
  explicit NiftiReader(const std::string& path);
  /// The same on an open source of a single-file volume.
  explicit NiftiReader(std::unique_ptr<ByteSource> source);

  [[nodiscard]] const std::string& path() const override { return source_->path(); }
  [[nodiscard]] std::string format() const override;
  [[nodiscard]] size_t memory_bytes() const override;

 protected:
  void read_stored(const VoxelRun& run, std::span<std::byte> bytes) override;
  [[nodiscard]] std::optional<int64_t> byte_offset(int64_t channel, int64_t voxel) const override;

 private:
  std::unique_ptr<ByteSource> source_;
  bool verified_ = false;
};

/// Upper bound of the memory one reader holds.
constexpr size_t kNiftiReaderBytes = kByteSourceBytes + (size_t{256} << 10);

}  // namespace wholemount
