#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "wholemount/base/error.h"
#include "wholemount/image/byte_source.h"
#include "wholemount/image/volume_header.h"

namespace wholemount {

/// A run of planes along d of one channel.
struct PlaneRange {
  int64_t channel = 0;
  int64_t first = 0;
  int64_t count = 0;
};

/// A run of consecutive voxels of one channel in the file's order: `first` counts voxels
/// (d * h_size + h) * w_size + w.
struct VoxelRun {
  int64_t channel = 0;
  int64_t first = 0;
  int64_t count = 0;
};

/// What to do about voxels that are NaN or infinite.
enum class NonFinite : uint8_t { refuse, accept };

/// Reads a NIfTI-1 or NIfTI-2 volume (.nii, .nii.gz, .hdr/.img with or without .gz) region by
/// region. Voxels arrive in the order [d, h, w] = the file's (z, y, x). Rising planes and channels
/// are read in one pass over a compressed file; going back starts its decompression again.
/// Memory: at most kNiftiReaderBytes whatever the volume's size. Not thread-safe.
class NiftiReader {
 public:
  /// Opens the file and reads its header; the payload claimed must be able to lie in the file.
  /// Throws FileError with path, byte offset and reason.
  explicit NiftiReader(const std::string& path);
  /// The same on an open source of a single-file volume.
  explicit NiftiReader(std::unique_ptr<ByteSource> source);

  [[nodiscard]] const VolumeHeader& header() const { return header_; }
  [[nodiscard]] const std::string& path() const { return source_->path(); }

  /// Reads planes as float32, slope and intercept applied, into values.size() = count * h * w.
  /// Throws FileError: truncated or corrupt data; with `refuse`, a voxel that is not finite (with
  /// its position). Reading the last plane of the last channel also verifies the checksum.
  void read_planes(const PlaneRange& planes, std::span<float> values,
                   NonFinite non_finite = NonFinite::refuse);

  /// Reads planes as whole numbers, exactly. Throws FileError as above, and for a voxel that is not
  /// a whole number of the destination's range, with its position and value.
  void read_labels(const PlaneRange& planes, std::span<uint8_t> values);
  void read_labels(const PlaneRange& planes, std::span<int32_t> values);

  // The same for any run of voxels: rows, or pieces of planes too large to hold.
  void read_run(const VoxelRun& run, std::span<float> values,
                NonFinite non_finite = NonFinite::refuse);
  void read_label_run(const VoxelRun& run, std::span<uint8_t> values);
  void read_label_run(const VoxelRun& run, std::span<int32_t> values);

  /// Reads the whole payload and its checksum; throws FileError when anything is missing, corrupt
  /// or (with `refuse`) not finite.
  void verify_payload(NonFinite non_finite = NonFinite::accept);

 private:
  template <class Value, class Decode>
  void decode_run(const VoxelRun& run, std::span<Value> values, const Decode& decode);
  template <class Label>
  void decode_label_run(const VoxelRun& run, std::span<Label> values);
  [[nodiscard]] VoxelRun run_of(const PlaneRange& planes) const;
  [[nodiscard]] int64_t byte_offset(int64_t channel, int64_t voxel) const;
  [[nodiscard]] std::string voxel_name(int64_t channel, int64_t voxel) const;
  [[nodiscard]] FileError not_finite(int64_t channel, int64_t voxel, double value) const;

  std::unique_ptr<ByteSource> source_;
  VolumeHeader header_;
  std::vector<std::byte> buffer_;
  bool verified_ = false;
};

/// Upper bound of the memory one reader holds.
constexpr size_t kNiftiReaderBytes = kByteSourceBytes + (size_t{256} << 10);

}  // namespace wholemount
