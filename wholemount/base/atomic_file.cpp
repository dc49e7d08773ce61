#include "wholemount/base/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>
#include <vector>

#include "wholemount/base/error.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount {

namespace {

constexpr size_t kBufferBytes = size_t{64} << 10;

std::string advice(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "; free some space or write elsewhere";
    case EACCES:
    case EPERM:
    case EROFS:
      return "; choose a folder you may write to";
    case ENOENT:
      return "; create the folder first";
    case EFBIG:
      return "; raise the file size limit (ulimit -f) or write elsewhere";
    default:
      return "";
  }
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

struct AtomicFile::State {
  std::string path;
  std::string temporary_path;
  int descriptor = -1;
  std::vector<char> buffer;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (descriptor >= 0) close(descriptor);
    if (!temporary_path.empty()) unlink(temporary_path.c_str());
  }

  [[noreturn]] void fail(const char* action) const {
    const int error_number = errno;
    throw OutputError(path, std::string("cannot ") + action + " (" +
                                system_error_text(error_number) + ")" + advice(error_number));
  }

  void create() {
    static std::atomic<int64_t> count{0};
    // A temporary file left by a killed process with our id is stepped over, never overwritten.
    for (int attempt = 0; attempt < 100 && descriptor < 0; ++attempt) {
      const std::string candidate =
          path + ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(count.fetch_add(1));
      descriptor = open(candidate.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
      if (descriptor >= 0) {
        temporary_path = candidate;
      } else if (errno != EEXIST) {
        break;
      }
    }
    if (descriptor < 0) fail("create the file");
  }

  void write_all(const char* data, size_t num_bytes) {
    while (num_bytes > 0) {
      const ssize_t written = ::write(descriptor, data, std::min(num_bytes, size_t{1} << 30));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write");
      data += written;
      num_bytes -= static_cast<size_t>(written);
    }
  }

  void flush() {
    write_all(buffer.data(), buffer.size());
    buffer.clear();
  }

  void sync_folder() const {
    const std::string folder = folder_of(path);
    const int folder_descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_descriptor < 0) fail("open the folder to make the rename durable");
    const int result = fsync(folder_descriptor);
    const int error_number = errno;
    close(folder_descriptor);
    errno = error_number;
    // Some network file systems cannot sync folders and say so with EINVAL.
    if (result != 0 && error_number != EINVAL) fail("make the rename durable");
  }
};

AtomicFile::AtomicFile(std::string path) : state_(std::make_unique<State>()) {
  state_->path = std::move(path);
  state_->buffer.reserve(kBufferBytes);
  state_->create();
}

AtomicFile::AtomicFile(AtomicFile&&) noexcept = default;
AtomicFile& AtomicFile::operator=(AtomicFile&&) noexcept = default;
AtomicFile::~AtomicFile() = default;

void AtomicFile::write(const void* data, size_t num_bytes) {
  WM_CHECK(state_ && state_->descriptor >= 0, "write after commit");
  const char* bytes = static_cast<const char*>(data);
  if (state_->buffer.size() + num_bytes > kBufferBytes) state_->flush();
  if (num_bytes >= kBufferBytes) {
    state_->write_all(bytes, num_bytes);
  } else {
    state_->buffer.insert(state_->buffer.end(), bytes, bytes + num_bytes);
  }
}

void AtomicFile::write_at(int64_t offset, const void* data, size_t num_bytes) {
  WM_CHECK(state_ && state_->descriptor >= 0, "write after commit");
  state_->flush();
  const char* bytes = static_cast<const char*>(data);
  while (num_bytes > 0) {
    const ssize_t written =
        pwrite(state_->descriptor, bytes, std::min(num_bytes, size_t{1} << 30), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) state_->fail("write");
    bytes += written;
    offset += written;
    num_bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  WM_CHECK(state_ && state_->descriptor >= 0, "commit called twice");
  state_->flush();
  if (fsync(state_->descriptor) != 0) state_->fail("make the file durable");
  // Network file systems report late write errors at close.
  if (close(std::exchange(state_->descriptor, -1)) != 0) state_->fail("close the file");
  if (std::rename(state_->temporary_path.c_str(), state_->path.c_str()) != 0) {
    state_->fail("move the finished file into place");
  }
  state_->temporary_path.clear();
  state_->sync_folder();
}

void write_file_atomically(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace wholemount
