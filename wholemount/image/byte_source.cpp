#include "wholemount/image/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

constexpr size_t kInputBytes = size_t{128} << 10;
constexpr size_t kSkipBytes = size_t{64} << 10;
constexpr int64_t kLargestDeflateExpansion = 1032;

/// Content as it lies on disk or in memory, read at any offset.
class RawBytes {
 public:
  virtual ~RawBytes() = default;
  virtual size_t read_some(int64_t offset, std::span<std::byte> bytes) = 0;
  [[nodiscard]] virtual int64_t size() const = 0;
};

class FileBytes final : public RawBytes {
 public:
  explicit FileBytes(const std::string& path) : path_(path) {
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor_ < 0) {
      throw FileError(path, std::string("cannot be opened: ") + std::strerror(errno));
    }
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(descriptor_);
      throw FileError(path, "is not a regular file");
    }
    size_ = status.st_size;
  }
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;
  ~FileBytes() override { ::close(descriptor_); }

  size_t read_some(int64_t offset, std::span<std::byte> bytes) override {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::pread(descriptor_, bytes.data() + done, bytes.size() - done,
                                    offset + static_cast<int64_t>(done));
      if (count < 0) {
        if (errno == EINTR) continue;
        throw FileError(path_, offset + static_cast<int64_t>(done),
                        std::string("cannot be read: ") + std::strerror(errno));
      }
      if (count == 0) break;
      done += static_cast<size_t>(count);
    }
    return done;
  }
  [[nodiscard]] int64_t size() const override { return size_; }

 private:
  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

class MemoryBytes final : public RawBytes {
 public:
  explicit MemoryBytes(std::vector<std::byte> content) : content_(std::move(content)) {}
  size_t read_some(int64_t offset, std::span<std::byte> bytes) override {
    if (offset >= size()) return 0;
    const size_t count = std::min(bytes.size(), content_.size() - static_cast<size_t>(offset));
    std::memcpy(bytes.data(), content_.data() + offset, count);
    return count;
  }
  [[nodiscard]] int64_t size() const override { return static_cast<int64_t>(content_.size()); }

 private:
  std::vector<std::byte> content_;
};

/// What both kinds of source share: a read must be complete.
class NamedSource : public ByteSource {
 public:
  explicit NamedSource(std::string path) : path_(std::move(path)) {}
  void read(int64_t offset, std::span<std::byte> bytes) final {
    const size_t count = read_some(offset, bytes);
    if (count != bytes.size()) {
      throw FileError(path_, offset + static_cast<int64_t>(count),
                      "the file is truncated: it ends here, " +
                          std::to_string(bytes.size() - count) +
                          " more bytes were wanted; copy it again from its source");
    }
  }
  [[nodiscard]] const std::string& path() const final { return path_; }

 private:
  std::string path_;
};

class PlainSource final : public NamedSource {
 public:
  PlainSource(std::unique_ptr<RawBytes> raw, const std::string& path)
      : NamedSource(path), raw_(std::move(raw)) {}
  size_t read_some(int64_t offset, std::span<std::byte> bytes) override {
    return raw_->read_some(offset, bytes);
  }
  [[nodiscard]] int64_t largest_size() const override { return raw_->size(); }
  void verify_to_end() override {}

 private:
  std::unique_ptr<RawBytes> raw_;
};

class GzipSource final : public NamedSource {
 public:
  GzipSource(std::unique_ptr<RawBytes> raw, const std::string& path)
      : NamedSource(path), raw_(std::move(raw)), input_(kInputBytes), skipped_(kSkipBytes) {
    // 16: gzip wrapper, so that zlib checks the CRC and the length of the trailer.
    if (inflateInit2(&stream_, 15 + 16) != Z_OK) {
      throw FileError(path, "cannot be decompressed: zlib refused to start");
    }
  }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;
  ~GzipSource() override { inflateEnd(&stream_); }

  size_t read_some(int64_t offset, std::span<std::byte> bytes) override {
    if (offset < position_) restart();
    while (position_ < offset) {
      const auto step = static_cast<size_t>(
          std::min<int64_t>(offset - position_, static_cast<int64_t>(kSkipBytes)));
      if (inflate_some({skipped_.data(), step}) == 0) return 0;
    }
    size_t done = 0;
    while (done < bytes.size()) {
      const size_t count = inflate_some(bytes.subspan(done));
      if (count == 0) break;
      done += count;
    }
    return done;
  }

  [[nodiscard]] int64_t largest_size() const override {
    return raw_->size() > std::numeric_limits<int64_t>::max() / (2 * kLargestDeflateExpansion)
               ? std::numeric_limits<int64_t>::max()
               : raw_->size() * kLargestDeflateExpansion;
  }

  void verify_to_end() override {
    while (inflate_some(skipped_) != 0) {
    }
  }

 private:
  void restart() {
    inflateReset(&stream_);
    raw_offset_ = 0;
    position_ = 0;
    ended_ = false;
    stream_.avail_in = 0;
  }

  bool refill() {
    const size_t count = raw_->read_some(raw_offset_, input_);
    raw_offset_ += static_cast<int64_t>(count);
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(count);
    return count != 0;
  }

  [[noreturn]] void throw_corrupt(const std::string& reason) const {
    throw FileError(path(), raw_offset_ - static_cast<int64_t>(stream_.avail_in),
                    reason + " (" + std::to_string(position_) +
                        " bytes could be decompressed); copy it again from its source");
  }

  // At the end of a member: another one may follow; anything else (padding) is ignored, as gzip
  // does.
  bool next_member() {
    while (stream_.avail_in < 2) {
      if (stream_.avail_in == 1) {
        raw_offset_ -= 1;
        if (raw_offset_ + 1 >= raw_->size()) return false;
      }
      if (!refill()) return false;
    }
    if (stream_.next_in[0] != 0x1f || stream_.next_in[1] != 0x8b) return false;
    inflateReset(&stream_);
    return true;
  }

  size_t inflate_some(std::span<std::byte> bytes) {
    const size_t wanted = std::min(bytes.size(), size_t{1} << 30);
    stream_.next_out = reinterpret_cast<Bytef*>(bytes.data());
    stream_.avail_out = static_cast<uInt>(wanted);
    while (!ended_ && stream_.avail_out != 0) {
      if (stream_.avail_in == 0 && !refill()) {
        throw_corrupt("the file is truncated: compressed data end here");
      }
      const int code = inflate(&stream_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {
        ended_ = !next_member();
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        throw_corrupt(std::string("corrupt compressed data: ") +
                      (stream_.msg != nullptr ? stream_.msg : "unknown reason"));
      }
    }
    const size_t count = wanted - stream_.avail_out;
    position_ += static_cast<int64_t>(count);
    return count;
  }

  std::unique_ptr<RawBytes> raw_;
  std::vector<std::byte> input_;
  std::vector<std::byte> skipped_;
  z_stream stream_{};
  int64_t raw_offset_ = 0;
  int64_t position_ = 0;
  bool ended_ = false;
};

std::unique_ptr<ByteSource> wrap(std::unique_ptr<RawBytes> raw, const std::string& path) {
  std::array<std::byte, 2> magic{};
  const bool gzip = raw->read_some(0, magic) == magic.size() && magic[0] == std::byte{0x1f} &&
                    magic[1] == std::byte{0x8b};
  if (gzip) return std::make_unique<GzipSource>(std::move(raw), path);
  return std::make_unique<PlainSource>(std::move(raw), path);
}

}  // namespace

std::unique_ptr<ByteSource> open_byte_source(const std::string& path) {
  return wrap(std::make_unique<FileBytes>(path), path);
}

std::unique_ptr<ByteSource> open_memory_source(std::vector<std::byte> content,
                                               const std::string& name) {
  return wrap(std::make_unique<MemoryBytes>(std::move(content)), name);
}

}  // namespace wholemount
