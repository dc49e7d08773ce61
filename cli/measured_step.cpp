#include "cli/measured_step.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <nlohmann/json.hpp>

#include "wholemount/base/error.h"
#include "wholemount/base/system_error_text.h"

namespace wholemount::cli {

namespace {

/// Reads to the end; the child has the other side.
std::string read_all(int file) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count = read(file, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
}

}  // namespace

MeasuredStep measure_step_in_child(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"wholemount", "bench", "step"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  all.emplace_back("--json");
  std::vector<char*> argv;
  std::transform(all.begin(), all.end(), std::back_inserter(argv),
                 [](std::string& argument) { return argument.data(); });
  argv.push_back(nullptr);

  int pipes[2];
  if (pipe(pipes) != 0) {
    throw InternalError("bench step: no pipe: " + system_error_text(errno));
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, pipes[0]);
  posix_spawn_file_actions_addclose(&actions, pipes[1]);
  pid_t child = 0;
  const int reason = posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipes[1]);
  const std::string text = reason == 0 ? read_all(pipes[0]) : std::string();
  close(pipes[0]);
  if (reason != 0) {
    throw InternalError("bench step cannot be started: " + system_error_text(reason));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw InternalError("bench step in a process of its own ended with " +
                        (WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                                           : "signal " + std::to_string(WTERMSIG(status))) +
                        "; its message is above");
  }
  try {
    const nlohmann::json json = nlohmann::json::parse(text);
    return {json.at("step_seconds").get<double>(), json.at("peak_bytes").get<size_t>()};
  } catch (const nlohmann::json::exception& error) {
    throw InternalError(std::string("bench step did not answer as wanted: ") + error.what());
  }
}

}  // namespace wholemount::cli
