#include "wholemount/image/png_reader.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <vector>

#include "wholemount/base/checked.h"
#include "wholemount/base/error.h"

namespace wholemount {

namespace {

constexpr png_uint_32 kLongestSide = 65535;
constexpr size_t kLargestChunk = size_t{8} << 20;
constexpr int64_t kLargestPicture = int64_t{1} << 30;  // bytes of an interlaced one
constexpr size_t kDecoderBytes = size_t{512} << 10;    // zlib's window and libpng's own

}  // namespace

/// The open file. libpng reports errors by longjmp: every call of it is made in a function without
/// objects that need a destructor, and returns whether it went well.
class PngReader::File {
 public:
  explicit File(std::unique_ptr<ByteSource> source) : source_(std::move(source)) {
    start();
    if (interlaced_) {
      if (checked_multiply(row_bytes_, height_) > kLargestPicture) {
        throw FileError(path(), "an interlaced picture of more than 1 GiB; store it without");
      }
      rows_.resize(static_cast<size_t>(row_bytes_ * height_));
      pointers_.resize(static_cast<size_t>(height_));
      for (int64_t h = 0; h < height_; ++h) {
        pointers_[static_cast<size_t>(h)] =
            reinterpret_cast<png_bytep>(rows_.data() + h * row_bytes_);
      }
      if (!decode_image()) fail();
      pointers_.clear();
    } else {
      rows_.resize(static_cast<size_t>(row_bytes_));
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(); }

  [[nodiscard]] const std::string& path() const { return source_->path(); }
  [[nodiscard]] size_t memory_bytes() const {
    return kByteSourceBytes + kDecoderBytes +
           static_cast<size_t>(interlaced_ ? row_bytes_ * height_ : 2 * row_bytes_);
  }

  [[nodiscard]] VolumeHeader header() const {
    VolumeHeader header;
    header.extent = {1, height_, width_};
    header.channels = channels_;
    header.stored = sample_bytes_ == 2 ? VoxelType::u16 : VoxelType::u8;
    header.big_endian = true;  // as PNG stores 16 bits
    return header;
  }

  void read(const VoxelRun& run, std::span<std::byte> bytes) {
    std::byte* to = bytes.data();
    for (int64_t voxel = run.first; voxel < run.first + run.count;) {
      const int64_t w = voxel % width_;
      const int64_t count = std::min(width_ - w, run.first + run.count - voxel);
      const std::byte* from = row(voxel / width_) + (w * channels_ + run.channel) * sample_bytes_;
      for (int64_t i = 0; i < count; ++i) {
        std::memcpy(to, from, static_cast<size_t>(sample_bytes_));
        to += sample_bytes_;
        from += channels_ * sample_bytes_;
      }
      voxel += count;
    }
  }

 private:
  const std::byte* row(int64_t h) {
    if (interlaced_) return rows_.data() + h * row_bytes_;
    if (h == next_row_ - 1) return rows_.data();
    if (h < next_row_) start();
    while (next_row_ <= h) {
      if (!decode_row()) fail();
      ++next_row_;
    }
    if (next_row_ == height_ && !finish()) fail();
    return rows_.data();
  }

  [[noreturn]] void fail() {
    const std::string reason = message_;
    close();
    throw FileError(path(), "PNG: " + reason + "; the file is damaged or cut off: get it again");
  }

  void close() {
    if (png_ != nullptr) png_destroy_read_struct(&png_, &info_, nullptr);
    png_ = nullptr;
    info_ = nullptr;
  }

  /// Opens the picture at its first row.
  void start() {
    close();
    position_ = 0;
    next_row_ = 0;
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    WM_CHECK(png_ != nullptr, "libpng could not be started");
    info_ = png_create_info_struct(png_);
    WM_CHECK(info_ != nullptr, "libpng could not be started");
    if (!read_header()) fail();
    width_ = png_get_image_width(png_, info_);
    height_ = png_get_image_height(png_, info_);
    channels_ = png_get_channels(png_, info_);
    sample_bytes_ = png_get_bit_depth(png_, info_) == 16 ? 2 : 1;
    row_bytes_ = static_cast<int64_t>(png_get_rowbytes(png_, info_));
    interlaced_ = png_get_interlace_type(png_, info_) != PNG_INTERLACE_NONE;
  }

  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_user_limits(png_, kLongestSide, kLongestSide);
    png_set_chunk_malloc_max(png_, kLargestChunk);
    png_set_chunk_cache_max(png_, 64);
    png_set_read_fn(png_, this, on_read);
    png_read_info(png_, info_);
    if (png_get_color_type(png_, info_) == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (png_get_color_type(png_, info_) == PNG_COLOR_TYPE_GRAY &&
        png_get_bit_depth(png_, info_) < 8) {
      png_set_expand_gray_1_2_4_to_8(png_);
    }
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    return true;
  }
  bool decode_row() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_row(png_, reinterpret_cast<png_bytep>(rows_.data()), nullptr);
    return true;
  }
  bool decode_image() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_image(png_, pointers_.data());
    png_read_end(png_, nullptr);
    return true;
  }
  bool finish() {
    if (finished_) return true;
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_end(png_, nullptr);
    finished_ = true;
    return true;
  }

  static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<File*>(png_get_error_ptr(png));
    std::strncpy(self->message_, message, sizeof(self->message_) - 1);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp /*png*/, png_const_charp /*message*/) {}
  static void on_read(png_structp png, png_bytep bytes, size_t count) {
    auto* self = static_cast<File*>(png_get_io_ptr(png));
    if (!self->take(bytes, count)) png_error(png, "ends too early");
  }
  bool take(png_bytep bytes, size_t count) noexcept {
    try {
      const size_t done =
          source_->read_some(position_, {reinterpret_cast<std::byte*>(bytes), count});
      position_ += static_cast<int64_t>(done);
      return done == count;
    } catch (const Error&) {
      return false;
    }
  }

  std::unique_ptr<ByteSource> source_;
  int64_t position_ = 0;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char message_[256] = {};
  int64_t width_ = 0;
  int64_t height_ = 0;
  int64_t channels_ = 1;
  int64_t sample_bytes_ = 1;
  int64_t row_bytes_ = 0;
  bool interlaced_ = false;
  bool finished_ = false;
  int64_t next_row_ = 0;
  std::vector<std::byte> rows_;  ///< the row before next_row_; all rows when interlaced
  std::vector<png_bytep> pointers_;
};

PngReader::PngReader(const std::string& path) : PngReader(open_byte_source(path)) {}

PngReader::PngReader(std::unique_ptr<ByteSource> source)
    : file_(std::make_unique<File>(std::move(source))) {
  header_ = file_->header();
}

PngReader::~PngReader() = default;

const std::string& PngReader::path() const { return file_->path(); }
size_t PngReader::memory_bytes() const { return file_->memory_bytes() + kDecodeBytes; }

void PngReader::read_stored(const VoxelRun& run, std::span<std::byte> bytes) {
  file_->read(run, bytes);
}

}  // namespace wholemount
