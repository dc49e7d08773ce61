#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "wholemount/image/byte_source.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

/// Reads a TIFF or BigTIFF file through libtiff: whole numbers of 8 to 64 bits, float32 and
/// float64, both byte orders, strips and tiles, interleaved and separate samples, every compression
/// libtiff knows. Thumbnails (reduced-resolution pages) and masks are skipped; all other pages must
/// agree in size and type. Pages are planes or channels (tiff_axes.h); the samples of a pixel are
/// channels. A palette is applied: one channel when it is grey, else red, green and blue, 8 bits
/// each (16 for 16-bit indices). Voxels are as stored otherwise: "0 is white" is not inverted.
///
/// Rows are read one by one. Memory: uncompressed strips one row; compressed strips the compressed
/// bytes of a strip and a row; tiles one row of tiles of a channel. No allocation is larger than
/// kTiffLargestAllocation or follows from numbers the file's size cannot back.
class TiffReader final : public VolumeReader {
 public:
  /// Throws FileError: missing, damaged, absurd sizes, a form that is not read (says which).
  explicit TiffReader(const std::string& path);
  explicit TiffReader(std::unique_ptr<ByteSource> source);
  ~TiffReader() override;

  [[nodiscard]] const std::string& path() const override;
  [[nodiscard]] std::string format() const override;
  [[nodiscard]] size_t memory_bytes() const override;
  /// "LZW", "none" ...
  [[nodiscard]] std::string compression() const;

 protected:
  void read_stored(const VoxelRun& run, std::span<std::byte> bytes) override;
  [[nodiscard]] bool stored_big_endian() const override;

 private:
  class File;
  std::unique_ptr<File> file_;
};

/// Largest single allocation reading a TIFF may make: bounds strips and tiles.
constexpr size_t kTiffLargestAllocation = size_t{256} << 20;

}  // namespace wholemount
