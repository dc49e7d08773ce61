#pragma once

// Only for tests of the folders that read volumes: temporary folders, hand-made files, and the
// place of the real data that are not part of the product.

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "wholemount/base/error.h"
#include "wholemount/image/nifti_header.h"
#include "wholemount/image/volume_header.h"

namespace wholemount::testing {

/// A folder of its own, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "wm-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

inline std::vector<std::byte> gzip(std::span<const std::byte> content) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::vector<std::byte> out(deflateBound(&stream, content.size()) + 64);
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

inline void write_bytes(const std::string& path, std::span<const std::byte> content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(content.data()),
             static_cast<std::streamsize>(content.size()));
}

inline std::vector<std::byte> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// Header of a volume [d, h, w] with spacing 1 mm.
inline VolumeHeader make_header(const Extent3& extent, VoxelType type, int64_t channels = 1) {
  VolumeHeader header;
  header.extent = extent;
  header.channels = channels;
  header.stored = type;
  header.geometry = geometry_from_spacing({1, 1, 1});
  return header;
}

/// A whole single-file NIfTI: header and voxels in the file's order.
template <class T>
std::vector<std::byte> make_nifti(const VolumeHeader& header, const std::vector<T>& voxels) {
  std::vector<std::byte> bytes = encode_nifti_header(header);
  const size_t start = bytes.size();
  bytes.resize(start + voxels.size() * sizeof(T));
  if (!voxels.empty()) {
    std::memcpy(bytes.data() + start, voxels.data(), voxels.size() * sizeof(T));
  }
  return bytes;
}

/// Overwrites a header field.
template <class T>
void poke(std::vector<std::byte>* bytes, size_t offset, T value) {
  std::memcpy(bytes->data() + offset, &value, sizeof(value));
}

/// Folder of the real data (environment WM_SHARED_DATA, else beside the repository).
inline std::string shared_data() {
  const char* folder = std::getenv("WM_SHARED_DATA");
  return folder != nullptr ? folder : WM_SHARED_DATA_DEFAULT;
}

/// Expects `statement` to throw `Exception` with a message containing `text`.
#define WM_EXPECT_ERROR(statement, Exception, text)                                     \
  try {                                                                                 \
    static_cast<void>(statement);                                                       \
    ADD_FAILURE() << "nothing was thrown";                                              \
  } catch (const Exception& error) {                                                    \
    EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what(); \
  } catch (const std::exception& error) {                                               \
    ADD_FAILURE() << "another exception: " << error.what();                             \
  }

/// Skips a test of real data where they are absent.
#define WM_NEED_SHARED_DATA(path)                                              \
  if (!std::filesystem::exists(path)) {                                        \
    GTEST_SKIP() << "real data absent: " << (path) << " (set WM_SHARED_DATA)"; \
  }

}  // namespace wholemount::testing
