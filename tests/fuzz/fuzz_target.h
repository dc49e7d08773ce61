#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "wholemount/base/error.h"

/// What every fuzz target defines: reads `size` bytes as a file of its kind. Returns 0. Whatever
/// the bytes, it must end in a value or in one of the errors the reader documents; anything else
/// (another exception, a message without the file's name, a sanitizer's finding) ends the process.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace wholemount::fuzz {

/// Ends the process as a finding.
[[noreturn]] inline void finding(const std::string& what) {
  std::fprintf(stderr, "fuzz: %s\n", what.c_str());
  std::abort();
}

/// A finding unless the message names `source`: a user must learn which file is wrong.
inline void check_names_source(const Error& error, const std::string& source) {
  if (std::string_view(error.what()).find(source) == std::string_view::npos) {
    finding(std::string("the message does not name ") + source + ": " + error.what());
  }
}

/// A folder of this process in memory (/dev/shm where there is one), for readers that take paths.
/// Removed when the process ends in order.
class MemoryFolder {
 public:
  MemoryFolder() {
    const bool shm = ::access("/dev/shm", W_OK) == 0;
    path_ = std::filesystem::path(shm ? "/dev/shm" : "/tmp") /
            ("wm-fuzz-" + std::to_string(::getpid()));
    std::filesystem::create_directories(path_);
  }
  MemoryFolder(const MemoryFolder&) = delete;
  MemoryFolder& operator=(const MemoryFolder&) = delete;
  ~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] std::string operator/(const std::string& name) const {
    return (path_ / name).string();
  }
  /// Replaces a file's content; makes its folder.
  std::string write(const std::string& name, std::string_view content) const {
    const std::filesystem::path path = path_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
    return path.string();
  }

 private:
  std::filesystem::path path_;
};

inline std::string_view as_text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace wholemount::fuzz
