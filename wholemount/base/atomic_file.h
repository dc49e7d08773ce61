#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace wholemount {

/// A file that appears complete or not at all: bytes go to a temporary file in the same folder
/// ("<name>.tmp-<pid>-<number>"); commit() makes them durable (fsync), renames over `path` and
/// makes the rename durable (fsync of the folder). Without commit() the destructor removes the
/// temporary file and `path` stays as it was. A killed process leaves at most the temporary file.
/// Move-only; used by one thread at a time. Costs 64 KiB of buffer.
class AtomicFile {
 public:
  /// Creates the temporary file. Throws OutputError (path, system's reason, what to do).
  explicit AtomicFile(std::string path);
  AtomicFile(AtomicFile&&) noexcept;
  AtomicFile& operator=(AtomicFile&&) noexcept;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  /// Appends; large pieces are not copied. Throws OutputError.
  void write(const void* data, size_t num_bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }

  /// Writes at a byte offset, leaving where write() appends; a gap reads as zeros. Throws
  /// OutputError.
  void write_at(int64_t offset, const void* data, size_t num_bytes);

  /// Publishes the file; nothing may be written afterwards. Throws OutputError.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Writes a whole file atomically, as AtomicFile does. Throws OutputError.
void write_file_atomically(const std::string& path, std::string_view content);

}  // namespace wholemount
