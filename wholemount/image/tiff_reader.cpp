#include "wholemount/image/tiff_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <vector>

#include "wholemount/base/checked.h"
#include "wholemount/image/tiff_axes.h"
#include "wholemount/image/tiff_form.h"
#include "wholemount/image/tiff_handle.h"

namespace wholemount {

namespace {

constexpr int64_t kMostPages = int64_t{1} << 20;
constexpr size_t kMostDescription = size_t{16} << 20;

void swap_bytes(std::span<std::byte> bytes, int64_t size) {
  for (size_t i = 0; i + static_cast<size_t>(size) <= bytes.size();
       i += static_cast<size_t>(size)) {
    std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                 bytes.begin() + static_cast<std::ptrdiff_t>(i) + size);
  }
}

}  // namespace

/// The open file: its pages, and the one row (or row of tiles) decoded last.
class TiffReader::File {
 public:
  explicit File(std::unique_ptr<ByteSource> source) : handle_(std::move(source)) {
    read_pages();
    read_palette();
    TiffPages pages{path(), description(), static_cast<int64_t>(pages_.size()), form_.samples};
    axes_ = read_tiff_axes(pages);
    check_payload();
  }

  [[nodiscard]] const std::string& path() const { return handle_.path(); }
  [[nodiscard]] std::string compression() const { return tiff_compression_name(form_.compression); }
  [[nodiscard]] bool big() const { return TIFFIsBigTIFF(handle_.get()) != 0; }
  [[nodiscard]] size_t memory_bytes() const {
    const int64_t rows = form_.tile_width > 0 ? form_.tile_height : 1;
    int64_t held = checked_multiply(rows, form_.row_bytes());
    if (form_.tile_width > 0) held += tile_bytes();
    return kByteSourceBytes + static_cast<size_t>(held) + largest_stored_bytes_ +
           pages_.size() * sizeof(uint64_t) + (size_t{192} << 10);
  }

  [[nodiscard]] VolumeHeader header() const {
    VolumeHeader header;
    header.extent = {axes_.planes, form_.height, form_.width};
    header.channels = axes_.channels * channels_of_page();
    header.stored = palette_.empty() ? *tiff_voxel_type(form_)
                                     : (form_.bits == 8 ? VoxelType::u8 : VoxelType::u16);
    header.big_endian = TIFFIsBigEndian(handle_.get()) != 0;
    (void)header.payload_bytes();
    return header;
  }

  void read(const VoxelRun& run, std::span<std::byte> bytes) {
    const int64_t size = form_.bytes();
    const int64_t plane = form_.height * form_.width;
    std::byte* to = bytes.data();
    for (int64_t voxel = run.first; voxel < run.first + run.count;) {
      const int64_t d = voxel / plane;
      const int64_t row = voxel % plane / form_.width;
      const int64_t w = voxel % form_.width;
      const int64_t count = std::min(form_.width - w, run.first + run.count - voxel);
      const int64_t group = run.channel / channels_of_page();
      const int64_t part = run.channel % channels_of_page();
      const int64_t sample = palette_.empty() ? part : 0;
      open_page(axes_.pages[static_cast<size_t>(group * axes_.planes + d)]);
      const std::byte* from =
          form_.tile_width > 0 ? tiled_row(row, sample) : strip_row(row, sample);
      const int64_t step = form_.samples_together() * size;
      from += w * step + (form_.planar == PLANARCONFIG_CONTIG ? sample * size : 0);
      for (int64_t i = 0; i < count; ++i, from += step, to += size) {
        std::memcpy(to, from, static_cast<size_t>(size));
      }
      if (!palette_.empty()) colour(to - count * size, count, part);
      voxel += count;
    }
  }

 private:
  [[nodiscard]] int64_t channels_of_page() const {
    return palette_.empty() ? form_.samples : static_cast<int64_t>(palette_.size());
  }
  [[nodiscard]] int64_t tile_bytes() const {
    return form_.tile_width * form_.tile_height * form_.samples_together() * form_.bytes();
  }
  [[nodiscard]] std::string description() const {
    const char* text = nullptr;
    if (TIFFSetSubDirectory(handle_.get(), pages_.front()) != 1) throw handle_.error("first page");
    if (TIFFGetField(handle_.get(), TIFFTAG_IMAGEDESCRIPTION, &text) != 1 || text == nullptr) {
      return {};
    }
    return std::string(text, strnlen(text, kMostDescription));
  }

  void read_pages() {
    TIFF* tiff = handle_.get();
    do {
      const auto kind = handle_.field<uint32_t>(TIFFTAG_SUBFILETYPE, 0);
      if ((kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) != 0) continue;
      const PageForm form = read_page_form(handle_);
      if (pages_.empty()) {
        form_ = form;
        check_form(form_, path());
      } else if (form != form_) {
        refuse("page " + std::to_string(pages_.size()) + " is " + std::to_string(form.width) +
               " x " + std::to_string(form.height) + " of " + std::to_string(form.samples) +
               " samples of " + std::to_string(form.bits) + " bits, unlike the first (" +
               std::to_string(form_.width) + " x " + std::to_string(form_.height) + " of " +
               std::to_string(form_.samples) + " of " + std::to_string(form_.bits) +
               "); all pages of an image must be alike: split the file");
      }
      pages_.push_back(TIFFCurrentDirOffset(tiff));
      note_stored_bytes();
      if (static_cast<int64_t>(pages_.size()) > kMostPages) refuse("has more than a million pages");
    } while (TIFFReadDirectory(tiff) == 1);
    if (pages_.empty()) refuse("has no page that is a whole image");
    current_page_ = pages_.size();  // none is open for reading
  }

  [[noreturn]] void refuse(const std::string& reason) const { throw FileError(path(), reason); }

  /// Compressed bytes libtiff will hold at a time.
  void note_stored_bytes() {
    const bool tiled = form_.tile_width > 0;
    if (form_.compression == COMPRESSION_NONE && !tiled) return;
    const uint32_t count =
        tiled ? TIFFNumberOfTiles(handle_.get()) : TIFFNumberOfStrips(handle_.get());
    for (uint32_t i = 0; i < count; ++i) {
      const uint64_t bytes = std::min<uint64_t>(TIFFGetStrileByteCount(handle_.get(), i),
                                                static_cast<uint64_t>(source_size()));
      largest_stored_bytes_ = std::max(largest_stored_bytes_, static_cast<size_t>(bytes));
    }
  }
  [[nodiscard]] int64_t source_size() const { return handle_.source().largest_size(); }

  /// What the header claims must be able to come out of the file's bytes.
  void check_payload() const {
    const int64_t expansion = tiff_largest_expansion(form_.compression);
    const int64_t payload =
        checked_multiply(checked_multiply(checked_multiply(form_.width, form_.height),
                                          checked_multiply(form_.samples, form_.bytes())),
                         static_cast<int64_t>(pages_.size()));
    // Tiles are stored whole, however little of them the image needs.
    if (expansion > 0 && form_.tile_width > 0) {
      const int64_t across = divide_up(form_.width, form_.tile_width);
      if (checked_multiply(across, tile_bytes()) / expansion > source_size()) {
        refuse("its tiles of " + std::to_string(form_.tile_width) + " x " +
               std::to_string(form_.tile_height) + " need more than its " +
               std::to_string(source_size()) + " bytes can hold; the file is damaged or cut off");
      }
    }
    if (expansion > 0 && payload / expansion > source_size()) {
      refuse("claims " + std::to_string(payload) + " bytes of voxels (" +
             std::to_string(pages_.size()) + " pages of " + std::to_string(form_.width) + " x " +
             std::to_string(form_.height) + "), more than its " + std::to_string(source_size()) +
             " bytes can hold; the file is damaged or cut off");
    }
  }

  void read_palette() {
    if (form_.photometric != PHOTOMETRIC_PALETTE) return;
    std::array<uint16_t*, 3> maps{};
    if (form_.samples != 1 || (form_.bits != 8 && form_.bits != 16) ||
        TIFFSetSubDirectory(handle_.get(), pages_.front()) != 1 ||
        TIFFGetField(handle_.get(), TIFFTAG_COLORMAP, &maps[0], &maps[1], &maps[2]) != 1) {
      refuse("is indexed, but has no palette of 256 or 65,536 colours");
    }
    const size_t entries = size_t{1} << form_.bits;
    bool grey = true;
    bool small = true;  // some writers store 8-bit colours where 16-bit ones belong
    for (size_t i = 0; i < entries; ++i) {
      grey = grey && maps[0][i] == maps[1][i] && maps[1][i] == maps[2][i];
      small = small && maps[0][i] < 256 && maps[1][i] < 256 && maps[2][i] < 256;
    }
    const int shift = form_.bits == 8 && !small ? 8 : 0;
    palette_.resize(grey ? 1 : 3);
    for (size_t c = 0; c < palette_.size(); ++c) {
      for (size_t i = 0; i < entries; ++i) {
        palette_[c].push_back(static_cast<uint16_t>(maps[c][i] >> shift));
      }
    }
  }

  /// Replaces `count` indices by the colours of a palette channel.
  void colour(std::byte* values, int64_t count, int64_t channel) const {
    const std::vector<uint16_t>& colours = palette_[static_cast<size_t>(channel)];
    for (int64_t i = 0; i < count; ++i) {
      if (form_.bits == 8) {
        values[i] = static_cast<std::byte>(colours[static_cast<size_t>(values[i])]);
      } else {
        uint16_t index = 0;
        std::memcpy(&index, values + 2 * i, 2);
        std::memcpy(values + 2 * i, &colours[index], 2);
      }
    }
  }

  void open_page(int64_t page) {
    if (static_cast<size_t>(page) == current_page_) return;
    if (TIFFSetSubDirectory(handle_.get(), pages_[static_cast<size_t>(page)]) != 1) {
      throw handle_.error("page " + std::to_string(page));
    }
    if (form_.photometric == PHOTOMETRIC_YCBCR) {
      TIFFSetField(handle_.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    }
    current_page_ = static_cast<size_t>(page);
    held_row_ = -1;
    next_row_ = -1;
  }

  /// Row `row` of the open page: all interleaved samples, or those of one separate sample, in the
  /// machine's byte order.
  const std::byte* strip_row(int64_t row, int64_t sample) {
    const int64_t plane = form_.planar == PLANARCONFIG_CONTIG ? 0 : sample;
    if (held_row_ == row && held_sample_ == plane) return buffer_.data();
    buffer_.resize(static_cast<size_t>(form_.row_bytes()));
    if (form_.compression == COMPRESSION_NONE) {
      read_plain_row(row, plane);
    } else {
      decode_row(row, plane);
    }
    held_row_ = row;
    held_sample_ = plane;
    return buffer_.data();
  }

  void read_plain_row(int64_t row, int64_t plane) {
    const int64_t strips = divide_up(form_.height, form_.rows_per_strip);
    const auto strip = static_cast<uint32_t>(plane * strips + row / form_.rows_per_strip);
    const auto begin = static_cast<int64_t>(TIFFGetStrileOffset(handle_.get(), strip));
    const auto stored = static_cast<int64_t>(TIFFGetStrileByteCount(handle_.get(), strip));
    const int64_t in_strip = row % form_.rows_per_strip * form_.row_bytes();
    if (begin <= 0 || begin > source_size() || in_strip + form_.row_bytes() > stored) {
      refuse("strip " + std::to_string(strip) + " holds " + std::to_string(stored) +
             " bytes, too few for row " + std::to_string(row) +
             "; the file is damaged or cut off: get it again");
    }
    handle_.source().read(begin + in_strip, buffer_);
    if ((TIFFIsBigEndian(handle_.get()) != 0) != (std::endian::native == std::endian::big)) {
      swap_bytes(buffer_, form_.bytes());
    }
  }

  /// Codecs decode a strip from its first row on.
  void decode_row(int64_t row, int64_t plane) {
    const int64_t first = row - row % form_.rows_per_strip;
    const bool goes_on = next_sample_ == plane && next_row_ > first && next_row_ <= row;
    for (int64_t r = goes_on ? next_row_ : first; r <= row; ++r) {
      next_row_ = -1;
      if (TIFFReadScanline(handle_.get(), buffer_.data(), static_cast<uint32_t>(r),
                           static_cast<uint16_t>(plane)) != 1) {
        throw handle_.error("row " + std::to_string(r) + " of page " +
                            std::to_string(current_page_) + " cannot be decoded");
      }
      next_row_ = r + 1;
      next_sample_ = plane;
    }
  }

  /// The same of a tiled page; decodes the row of tiles it lies in.
  const std::byte* tiled_row(int64_t row, int64_t sample) {
    const int64_t plane = form_.planar == PLANARCONFIG_CONTIG ? 0 : sample;
    const int64_t first = row - row % form_.tile_height;
    if (held_row_ != first || held_sample_ != plane) {
      decode_tiles(first, plane);
      held_row_ = first;
      held_sample_ = plane;
    }
    return buffer_.data() + (row - first) * form_.row_bytes();
  }

  void decode_tiles(int64_t first, int64_t plane) {
    const int64_t pixel = form_.samples_together() * form_.bytes();
    const int64_t rows = std::min(form_.tile_height, form_.height - first);
    if (TIFFTileSize(handle_.get()) != static_cast<tmsize_t>(tile_bytes())) {
      refuse("its tiles have another size than their header says");
    }
    buffer_.resize(static_cast<size_t>(form_.tile_height * form_.row_bytes()));
    tile_.resize(static_cast<size_t>(tile_bytes()));
    held_row_ = -1;
    for (int64_t w = 0; w < form_.width; w += form_.tile_width) {
      if (TIFFReadTile(handle_.get(), tile_.data(), static_cast<uint32_t>(w),
                       static_cast<uint32_t>(first), 0, static_cast<uint16_t>(plane)) < 0) {
        throw handle_.error("tile at row " + std::to_string(first) + ", column " +
                            std::to_string(w) + " of page " + std::to_string(current_page_) +
                            " cannot be decoded");
      }
      const int64_t columns = std::min(form_.tile_width, form_.width - w);
      for (int64_t r = 0; r < rows; ++r) {
        std::memcpy(buffer_.data() + r * form_.row_bytes() + w * pixel,
                    tile_.data() + r * form_.tile_width * pixel,
                    static_cast<size_t>(columns * pixel));
      }
    }
  }

  TiffHandle handle_;
  std::vector<uint64_t> pages_;  ///< file offset of each page's directory
  PageForm form_;
  TiffAxes axes_;
  std::vector<std::vector<uint16_t>> palette_;  ///< per channel: colour of each index
  size_t largest_stored_bytes_ = 0;
  size_t current_page_ = 0;
  std::vector<std::byte> buffer_;  ///< a row, or a row of tiles
  std::vector<std::byte> tile_;
  int64_t held_row_ = -1;  ///< (first) row in buffer_
  int64_t held_sample_ = 0;
  int64_t next_row_ = -1;  ///< row the codec gives next
  int64_t next_sample_ = 0;
};

TiffReader::TiffReader(const std::string& path) : TiffReader(open_byte_source(path)) {}

TiffReader::TiffReader(std::unique_ptr<ByteSource> source)
    : file_(std::make_unique<File>(std::move(source))) {
  header_ = file_->header();
}

TiffReader::~TiffReader() = default;

const std::string& TiffReader::path() const { return file_->path(); }
std::string TiffReader::format() const { return file_->big() ? "BigTIFF" : "TIFF"; }
size_t TiffReader::memory_bytes() const { return file_->memory_bytes() + kDecodeBytes; }
std::string TiffReader::compression() const { return file_->compression(); }

void TiffReader::read_stored(const VoxelRun& run, std::span<std::byte> bytes) {
  file_->read(run, bytes);
}

bool TiffReader::stored_big_endian() const { return std::endian::native == std::endian::big; }

}  // namespace wholemount
