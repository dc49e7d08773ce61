#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wholemount/base/error.h"
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

/// An image file whose voxels are read region by region, in the order [d, h, w] of each channel; a
/// single picture is a volume of d = 1. Not thread-safe.
class VolumeReader {
 public:
  virtual ~VolumeReader() = default;

  [[nodiscard]] const VolumeHeader& header() const { return header_; }
  [[nodiscard]] virtual const std::string& path() const = 0;
  /// "NIfTI-1", "TIFF", "PNG".
  [[nodiscard]] virtual std::string format() const = 0;
  /// Upper bound of the memory the reader holds.
  [[nodiscard]] virtual size_t memory_bytes() const = 0;

  /// Reads planes as float32, slope and intercept applied, into values.size() = count * h * w.
  /// Throws FileError: truncated or corrupt data; with `refuse`, a voxel that is not finite (with
  /// its position). Reading the last plane of the last channel also verifies a checksum the format
  /// may have.
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

 protected:
  VolumeReader() = default;
  VolumeReader(VolumeReader&&) = default;
  VolumeReader& operator=(VolumeReader&&) = default;

  /// Fills `bytes` with the stored voxels of a run that lies in the volume: numbers of
  /// header().stored in the byte order stored_big_endian(). Throws FileError.
  virtual void read_stored(const VoxelRun& run, std::span<std::byte> bytes) = 0;
  [[nodiscard]] virtual bool stored_big_endian() const { return header_.big_endian; }
  /// Where in the file a voxel lies, for messages; nothing where that cannot be said.
  [[nodiscard]] virtual std::optional<int64_t> byte_offset(int64_t channel, int64_t voxel) const;

  VolumeHeader header_;

  /// Bytes read_stored is asked for at most, and what the base class holds.
  static constexpr size_t kDecodeBytes = size_t{256} << 10;

 private:
  template <class Value, class Decode>
  void decode_run(const VoxelRun& run, std::span<Value> values, const Decode& decode);
  template <class Label>
  void decode_label_run(const VoxelRun& run, std::span<Label> values);
  [[nodiscard]] VoxelRun run_of(const PlaneRange& planes) const;
  [[nodiscard]] std::string voxel_name(int64_t channel, int64_t voxel) const;
  [[nodiscard]] FileError not_finite(int64_t channel, int64_t voxel, double value) const;

  std::vector<std::byte> buffer_;
};

/// Opens a NIfTI, TIFF or PNG file; the format is recognised by the first bytes, whatever the name.
/// Throws FileError: missing, unreadable, damaged, or none of these.
[[nodiscard]] std::unique_ptr<VolumeReader> open_volume(const std::string& path);

}  // namespace wholemount
