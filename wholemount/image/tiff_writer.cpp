#include "wholemount/image/tiff_writer.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/checked.h"
#include "wholemount/base/error.h"

namespace wholemount {

namespace {

constexpr int64_t kStripBytes = int64_t{64} << 10;
constexpr int64_t kLargestFile = (int64_t{1} << 32) - 1;

// Tag numbers and types of TIFF 6.0, section 8.
enum Tag : uint16_t {
  image_width = 256,
  image_length = 257,
  bits_per_sample = 258,
  compression = 259,
  photometric = 262,
  strip_offsets = 273,
  samples_per_pixel = 277,
  rows_per_strip = 278,
  strip_byte_counts = 279
};
constexpr uint16_t kShort = 3;
constexpr uint16_t kLong = 4;

class Bytes {
 public:
  void put16(uint32_t value) { put(value, 2); }
  void put32(uint32_t value) { put(value, 4); }
  void entry(Tag tag, uint16_t type, uint32_t count, uint32_t value) {
    put16(tag);
    put16(type);
    put32(count);
    put32(value);  // a short fills the field's first bytes: little endian needs no care
  }
  void append(const void* data, size_t size) { text_.append(static_cast<const char*>(data), size); }
  [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(text_.size()); }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void put(uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) text_.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
  }
  std::string text_;
};

template <class Voxel>
void write_pages(const std::string& path, const Extent3& extent, std::span<const Voxel> voxels) {
  const int64_t row = checked_multiply(extent.w, static_cast<int64_t>(sizeof(Voxel)));
  const int64_t page = checked_multiply(row, extent.h);
  const int64_t total = checked_multiply(page, extent.d);
  if (extent.d < 1 || extent.h < 1 || extent.w < 1 ||
      static_cast<int64_t>(voxels.size_bytes()) != total) {
    throw ShapeError("a TIFF of " + to_string(extent) + " from " + std::to_string(voxels.size()) +
                     " voxels");
  }
  const int64_t rows = std::clamp<int64_t>(kStripBytes / row, 1, extent.h);
  const int64_t strips = divide_up(extent.h, rows);
  const int64_t directory = 2 + 9 * 12 + 4 + 2 * 4 * strips;
  if (total > kLargestFile - 16 - checked_multiply(directory, extent.d)) {
    throw ShapeError(path + ": " + to_string(extent) + " does not fit a TIFF of 4 GiB");
  }
  Bytes file;
  file.append("II*\0", 4);
  file.put32(8);
  for (int64_t d = 0; d < extent.d; ++d) {
    const uint32_t tables = file.size() + 2 + 9 * 12 + 4;
    const auto count = static_cast<uint32_t>(strips);
    const uint32_t voxels_at = tables + (strips > 1 ? 8 * count : 0);
    file.put16(9);
    file.entry(image_width, kLong, 1, static_cast<uint32_t>(extent.w));
    file.entry(image_length, kLong, 1, static_cast<uint32_t>(extent.h));
    file.entry(bits_per_sample, kShort, 1, 8 * sizeof(Voxel));
    file.entry(compression, kShort, 1, 1);
    file.entry(photometric, kShort, 1, 1);
    file.entry(strip_offsets, kLong, count, strips > 1 ? tables : voxels_at);
    file.entry(samples_per_pixel, kShort, 1, 1);
    file.entry(rows_per_strip, kLong, 1, static_cast<uint32_t>(rows));
    file.entry(strip_byte_counts, kLong, count,
               strips > 1 ? tables + 4 * count : static_cast<uint32_t>(page));
    const int64_t next = voxels_at + page + (page & 1);
    file.put32(d + 1 < extent.d ? static_cast<uint32_t>(next) : 0);
    if (strips > 1) {
      for (int64_t s = 0; s < strips; ++s) {
        file.put32(voxels_at + static_cast<uint32_t>(s * rows * row));
      }
      for (int64_t s = 0; s < strips; ++s) {
        file.put32(static_cast<uint32_t>(std::min(rows, extent.h - s * rows) * row));
      }
    }
    file.append(voxels.data() + d * extent.h * extent.w, static_cast<size_t>(page));
    if ((page & 1) != 0) file.append("\0", 1);  // directories begin at even offsets
  }
  write_file_atomically(path, file.text());
}

}  // namespace

void write_tiff(const std::string& path, const Extent3& extent, std::span<const uint16_t> voxels) {
  write_pages(path, extent, voxels);
}

void write_tiff(const std::string& path, const Extent3& extent, std::span<const uint8_t> voxels) {
  write_pages(path, extent, voxels);
}

}  // namespace wholemount
