#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "tests/cli/run_binary.h"

namespace wholemount::testing {

/// The built binary, running while the test goes on. Killed at the end if it still runs.
class BackgroundRun {
 public:
  explicit BackgroundRun(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), WM_BINARY);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    process_ = ::fork();
    if (process_ == 0) {
      const int out = ::open((folder_ / "out").c_str(), O_WRONLY | O_CREAT, 0600);
      const int err = ::open((folder_ / "err").c_str(), O_WRONLY | O_CREAT, 0600);
      ::dup2(out, STDOUT_FILENO);
      ::dup2(err, STDERR_FILENO);
      ::execv(pointers[0], pointers.data());
      ::_exit(127);
    }
  }
  BackgroundRun(const BackgroundRun&) = delete;
  BackgroundRun& operator=(const BackgroundRun&) = delete;
  ~BackgroundRun() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
  }

  /// Waits until `file` holds `text`; false when the process ends before or a minute has passed.
  [[nodiscard]] bool wait_for(const std::string& file, const std::string& text) {
    for (int i = 0; i < 6000; ++i) {
      if (read(file).find(text) != std::string::npos) return true;
      int status = 0;
      if (::waitpid(process_, &status, WNOHANG) == process_) {
        keep(status);
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  /// Sends the signal, waits for the end and returns what the process left behind.
  CommandResult end_with(int signal) {
    if (process_ > 0) {
      ::kill(process_, signal);
      int status = 0;
      ::waitpid(process_, &status, 0);
      keep(status);
    }
    result_.out = read(folder_ / "out");
    result_.err = read(folder_ / "err");
    return result_;
  }

 private:
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void keep(int status) {
    process_ = -1;
    result_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  TemporaryFolder folder_;
  pid_t process_ = -1;
  CommandResult result_;
};

}  // namespace wholemount::testing
