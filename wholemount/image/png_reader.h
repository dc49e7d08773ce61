#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "wholemount/image/byte_source.h"
#include "wholemount/image/volume_reader.h"

namespace wholemount {

/// Reads a PNG file as a volume of d = 1: 8 or 16 bits, channels grey or red, green, blue, with
/// alpha last where there is one. Fewer bits are spread over 0 to 255, a palette is applied; gamma
/// and colour profiles are left alone. Rows are decoded in rising order; going back starts again.
/// Memory: one row; an interlaced picture is held whole.
class PngReader final : public VolumeReader {
 public:
  /// Throws FileError: missing, damaged, sides above 65,535.
  explicit PngReader(const std::string& path);
  explicit PngReader(std::unique_ptr<ByteSource> source);
  ~PngReader() override;

  [[nodiscard]] const std::string& path() const override;
  [[nodiscard]] std::string format() const override { return "PNG"; }
  [[nodiscard]] size_t memory_bytes() const override;

 protected:
  void read_stored(const VoxelRun& run, std::span<std::byte> bytes) override;

 private:
  class File;
  std::unique_ptr<File> file_;
};

}  // namespace wholemount
