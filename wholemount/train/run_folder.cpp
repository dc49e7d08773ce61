#include "wholemount/train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "wholemount/base/atomic_file.h"
#include "wholemount/base/error.h"
#include "wholemount/base/system_error_text.h"
#include "wholemount/train/checkpoint.h"

namespace wholemount {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& action) {
  throw OutputError(path.string(), "cannot " + action + ": " + system_error_text(errno));
}

void write_all(int descriptor, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail(path, "be written");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

std::string read_text(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

int lock_folder(const fs::path& folder) {
  const fs::path path = folder / RunFolderNames::kLock;
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    fail(path, "be opened");
  }
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    ::close(descriptor);
    if (reason != EWOULDBLOCK) {
      errno = reason;
      fail(path, "be locked");
    }
    std::string holder = read_text(path);
    holder = holder.substr(0, holder.find('\n'));
    throw ConfigError(folder.string() + ": run folder in use" +
                      (holder.empty() ? std::string() : " by process " + holder) +
                      "; wait until it ends or choose another --out");
  }
  // For the message above only; the lock itself is what counts.
  const std::string holder = std::to_string(::getpid()) + "\n";
  if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, holder.data(), holder.size(), 0) !=
                                             static_cast<ssize_t>(holder.size())) {
    const int reason = errno;
    ::close(descriptor);
    errno = reason;
    fail(path, "be written");
  }
  return descriptor;
}

// What makes a folder hold a run; empty when it holds none.
std::string traces_of_run(const fs::path& folder) {
  std::error_code ignored;
  if (has_checkpoint(folder / RunFolderNames::kCheckpoint)) {
    return "a checkpoint";
  }
  if (fs::exists(folder / RunFolderNames::kSummary, ignored)) {
    return RunFolderNames::kSummary;
  }
  const fs::path log = folder / RunFolderNames::kLog;
  if (fs::exists(log, ignored) && fs::file_size(log, ignored) > 0) {
    return RunFolderNames::kLog;
  }
  return {};
}

}  // namespace

RunFolder::RunFolder(fs::path folder, Mode mode) : folder_(std::move(folder)) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) {
    throw OutputError(folder_.string(), "cannot be made: " + error.message());
  }
  lock_descriptor_ = lock_folder(folder_);
  if (mode == Mode::fresh) {
    const std::string trace = traces_of_run(folder_);
    if (!trace.empty()) {
      close_all();
      throw ConfigError(folder_.string() + ": already holds a run (" + trace +
                        "); continue it with --resume or choose another --out");
    }
  }
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : folder_(std::move(other.folder_)),
      lock_descriptor_(std::exchange(other.lock_descriptor_, -1)),
      log_descriptor_(std::exchange(other.log_descriptor_, -1)) {}

RunFolder& RunFolder::operator=(RunFolder&& other) noexcept {
  if (this != &other) {
    close_all();
    folder_ = std::move(other.folder_);
    lock_descriptor_ = std::exchange(other.lock_descriptor_, -1);
    log_descriptor_ = std::exchange(other.log_descriptor_, -1);
  }
  return *this;
}

RunFolder::~RunFolder() { close_all(); }

void RunFolder::close_all() noexcept {
  for (int* descriptor : {&log_descriptor_, &lock_descriptor_}) {
    if (*descriptor >= 0) {
      ::close(*descriptor);
      *descriptor = -1;
    }
  }
}

void RunFolder::write(const char* name, std::string_view content) const {
  write_file_atomically(file(name).string(), content);
}

void RunFolder::append_log(std::string_view json_line) {
  WM_CHECK(json_line.find('\n') == std::string_view::npos, "a log entry is one line");
  const fs::path path = file(RunFolderNames::kLog);
  if (log_descriptor_ < 0) {
    log_descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log_descriptor_ < 0) {
      fail(path, "be opened");
    }
  }
  // One write for the whole line: a reader never sees half of it.
  write_all(log_descriptor_, std::string(json_line) + "\n", path);
}

void RunFolder::sync_log() {
  if (log_descriptor_ >= 0 && ::fdatasync(log_descriptor_) != 0) {
    fail(file(RunFolderNames::kLog), "be made durable");
  }
}

void RunFolder::cut_log(int64_t step) {
  if (log_descriptor_ >= 0) {
    ::close(log_descriptor_);
    log_descriptor_ = -1;
  }
  const fs::path path = file(RunFolderNames::kLog);
  const std::string text = read_text(path);
  size_t kept = 0;
  while (kept < text.size()) {
    const size_t end = text.find('\n', kept);
    if (end == std::string::npos) {
      break;
    }
    const auto line =
        nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(kept),
                              text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (!line.is_object()) {
      break;
    }
    const auto found = line.find("step");
    if (found != line.end() && found->is_number_integer() && found->get<int64_t>() > step) {
      break;
    }
    kept = end + 1;
  }
  if (kept < text.size()) {
    write_file_atomically(path.string(), std::string_view(text).substr(0, kept));
  }
}

std::optional<std::string> RunFolder::summary_status() const {
  const auto summary =
      nlohmann::json::parse(read_text(file(RunFolderNames::kSummary)), nullptr, false);
  if (!summary.is_object() || !summary.contains("status") || !summary["status"].is_string()) {
    return std::nullopt;
  }
  return summary["status"].get<std::string>();
}

}  // namespace wholemount
