#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace wholemount {

/// Process exit codes of the command line; every Error knows the one it leads to.
enum class ExitCode : int {
  done = 0,
  usage = 2,
  input = 3,
  memory = 4,
  output = 5,
  peer = 6,
  internal = 70,
};

/// Base of all exceptions thrown by the library. A message says where, what was found, what was
/// wanted and what to do. Errors are thrown before kernels run, never from inside a task.
class Error : public std::runtime_error {
 public:
  Error(ExitCode exit_code, const std::string& message)
      : std::runtime_error(message), exit_code_(exit_code) {}
  [[nodiscard]] ExitCode exit_code() const { return exit_code_; }

 private:
  ExitCode exit_code_;
};

/// A wrong argument, configuration key or value (exit 2).
class ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& message) : Error(ExitCode::usage, message) {}
};

/// A tensor or network shape that cannot be computed (exit 2).
class ShapeError : public Error {
 public:
  explicit ShapeError(const std::string& message) : Error(ExitCode::usage, message) {}
};

/// An input that is missing, unreadable, corrupt or unsuitable (exit 3).
class FileError : public Error {
 public:
  FileError(const std::string& path, const std::string& reason)
      : Error(ExitCode::input, path + ": " + reason), path_(path) {}
  FileError(const std::string& path, int64_t byte_offset, const std::string& reason)
      : Error(ExitCode::input, path + ": at byte " + std::to_string(byte_offset) + ": " + reason),
        path_(path) {}
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The memory budget cannot be met (exit 4).
class MemoryBudgetError : public Error {
 public:
  explicit MemoryBudgetError(const std::string& message) : Error(ExitCode::memory, message) {}
};

/// Writing an output or scratch file failed (exit 5).
class OutputError : public Error {
 public:
  OutputError(const std::string& path, const std::string& reason)
      : Error(ExitCode::output, path + ": " + reason) {}
};

/// A broken invariant of our own (exit 70); thrown by WM_CHECK, never caused by user input.
class InternalError : public Error {
 public:
  explicit InternalError(const std::string& message) : Error(ExitCode::internal, message) {}
};

[[noreturn]] void throw_internal_error(const char* condition, const char* file, int line,
                                       const std::string& message);

}  // namespace wholemount

/// Checks an invariant that only our own mistake can break.
#define WM_CHECK(condition, message)                                                 \
  do {                                                                               \
    if (!(condition)) {                                                              \
      ::wholemount::throw_internal_error(#condition, __FILE__, __LINE__, (message)); \
    }                                                                                \
  } while (false)
