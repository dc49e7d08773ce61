#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace wholemount {

/// Bytes of a file at any offset, compressed or not. Not thread-safe: one reader each.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  /// Fills `bytes` from `offset` (of the uncompressed content).
  /// Throws FileError when the content ends before (naming the offset where it ended), is corrupt
  /// or unreadable.
  virtual void read(int64_t offset, std::span<std::byte> bytes) = 0;

  /// As many bytes from `offset` as there are, at most bytes.size(); returns how many.
  virtual size_t read_some(int64_t offset, std::span<std::byte> bytes) = 0;

  /// The most content bytes there can be: the file's size; for deflate 1032 times that plus a
  /// block, the format's largest expansion. Bounds what a header may claim before data proves it.
  [[nodiscard]] virtual int64_t largest_size() const = 0;

  /// Reads to the end, so that checksums are verified and a cut-off tail is found.
  virtual void verify_to_end() = 0;

  /// Path for messages.
  [[nodiscard]] virtual const std::string& path() const = 0;
};

/// Opens a file; gzip content is recognised by its first bytes, whatever the name. Sequential reads
/// of compressed files are cheap; going backwards starts again from the beginning. Several gzip
/// members are read as one stream.
/// Memory: at most kByteSourceBytes. Throws FileError (missing, not a regular file, unreadable).
[[nodiscard]] std::unique_ptr<ByteSource> open_byte_source(const std::string& path);

/// The same over bytes in memory (fuzzing, tests); `name` stands for the path.
[[nodiscard]] std::unique_ptr<ByteSource> open_memory_source(std::vector<std::byte> content,
                                                             const std::string& name);

/// Upper bound of the memory one source of a file holds: compressed input, skip buffer, and zlib's
/// window and tables.
constexpr size_t kByteSourceBytes = size_t{256} << 10;

}  // namespace wholemount
