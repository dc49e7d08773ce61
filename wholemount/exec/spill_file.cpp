#include "wholemount/exec/spill_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount {

namespace {

// linux/magic.h, which not every system's headers have.
constexpr long kTmpfsMagic = 0x01021994;
constexpr long kRamfsMagic = 0x858458f6;

/// One call moves less than 2 GiB (read(2)); smaller pieces also keep fewer pages pinned.
constexpr size_t kPieceBytes = size_t{64} << 20;

std::string with_bytes(size_t bytes) {
  return format_bytes(bytes) + " (" + std::to_string(bytes) + " bytes)";
}

int open_unnamed(const std::string& folder) {
  const int flags = O_RDWR | O_DIRECT | O_CLOEXEC;
  int file = open(folder.c_str(), flags | O_TMPFILE, 0600);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) return file;
  const std::string path = folder + "/.wholemount-spill-" + std::to_string(getpid());
  file = open(path.c_str(), flags | O_CREAT | O_EXCL, 0600);
  if (file >= 0) unlink(path.c_str());
  return file;
}

}  // namespace

SpillFile::SpillFile(std::string folder, size_t bytes) : folder_(std::move(folder)) {
  struct stat info {};
  if (stat(folder_.c_str(), &info) != 0) {
    throw OutputError(folder_, "memory.spill: " + system_error_text(errno) +
                                   "; make the folder, on a local disk");
  }
  if (!S_ISDIR(info.st_mode)) {
    throw OutputError(folder_, "memory.spill is not a folder; name one on a local disk");
  }
  struct statfs system {};
  if (statfs(folder_.c_str(), &system) == 0 && (static_cast<long>(system.f_type) == kTmpfsMagic ||
                                                static_cast<long>(system.f_type) == kRamfsMagic)) {
    throw OutputError(folder_,
                      "memory.spill lies in memory itself (tmpfs), so spilling there saves none; "
                      "name a folder on a local disk");
  }
  file_ = open_unnamed(folder_);
  if (file_ < 0) {
    const int reason = errno;
    throw OutputError(folder_, "memory.spill: cannot open a scratch file for direct I/O: " +
                                   system_error_text(reason) +
                                   "; name a writable folder on a local disk");
  }
  try {
    grow(bytes);
  } catch (...) {
    close(file_);
    throw;
  }
}

SpillFile::~SpillFile() { close(file_); }

void SpillFile::grow(size_t bytes) {
  if (bytes <= size_) return;
  int reason = 0;
  do {
    reason = fallocate(file_, 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  } while (reason == EINTR);
  struct statvfs space {};
  const size_t free = fstatvfs(file_, &space) == 0 ? space.f_bavail * space.f_frsize : 0;
  if (reason == EOPNOTSUPP) {
    // The file system cannot reserve; at least it must have the space now.
    reason = free < bytes - size_ ? ENOSPC : 0;
    if (reason == 0 && ftruncate(file_, static_cast<off_t>(bytes)) != 0) reason = errno;
  }
  if (reason != 0) {
    throw OutputError(folder_, "memory.spill: cannot reserve " + with_bytes(bytes) +
                                   " of scratch space: " + system_error_text(reason) + "; " +
                                   with_bytes(free) +
                                   " are free there: free some, name another disk, or raise the "
                                   "memory budget");
  }
  size_ = bytes;
}

void SpillFile::write(size_t offset, const std::byte* data, size_t bytes) const {
  while (bytes > 0) {
    const ssize_t moved =
        pwrite(file_, data, std::min(bytes, kPieceBytes), static_cast<off_t>(offset));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) {
      const std::string reason = moved == 0 ? "nothing was written" : system_error_text(errno);
      throw OutputError(folder_, "memory.spill: writing " + std::to_string(bytes) +
                                     " bytes failed: " + reason +
                                     "; the run can be resumed from its last checkpoint");
    }
    offset += static_cast<size_t>(moved);
    data += moved;
    bytes -= static_cast<size_t>(moved);
  }
}

void SpillFile::read(size_t offset, std::byte* data, size_t bytes) const {
  while (bytes > 0) {
    const ssize_t moved =
        pread(file_, data, std::min(bytes, kPieceBytes), static_cast<off_t>(offset));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) {
      const std::string reason = moved == 0 ? "the file ends" : system_error_text(errno);
      throw OutputError(folder_, "memory.spill: reading " + std::to_string(bytes) +
                                     " bytes back failed: " + reason +
                                     "; the run can be resumed from its last checkpoint");
    }
    offset += static_cast<size_t>(moved);
    data += moved;
    bytes -= static_cast<size_t>(moved);
  }
}

}  // namespace wholemount
