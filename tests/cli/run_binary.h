#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "testing/sanitizers.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount::testing {

/// What a command left behind.
struct CommandResult {
  int exit_code = -1;
  std::string out;
  std::string err;
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(out); }
};

inline std::string quoted(const std::string& argument) {
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// Sanitizers reserve terabytes of it.
constexpr bool kLimitsAddressSpace = !kAddressSanitizer && !kThreadSanitizer;

/// What a command may use at most; 0: no limit.
struct ResourceLimits {
  int64_t address_space_kib = 0;
  int64_t file_kib = 0;  ///< of each file it writes
};

/// Runs the built binary with these arguments.
inline CommandResult run_binary(const std::vector<std::string>& arguments,
                                const ResourceLimits& limits = {}) {
  const TemporaryFolder folder;
  std::string command;
  if (kLimitsAddressSpace && limits.address_space_kib > 0) {
    command += "ulimit -v " + std::to_string(limits.address_space_kib) + "; ";
  }
  // In blocks of 512 bytes.
  if (limits.file_kib > 0) command += "ulimit -f " + std::to_string(2 * limits.file_kib) + "; ";
  command += quoted(WM_BINARY);
  for (const std::string& argument : arguments) command += " " + quoted(argument);
  command += " >" + quoted(folder / "out") + " 2>" + quoted(folder / "err") + " </dev/null";
  const int status = std::system(command.c_str());
  const auto read = [](const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  CommandResult result;
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.out = read(folder / "out");
  result.err = read(folder / "err");
  return result;
}

/// Expects a refusal: this exit code, nothing but JSON at most on stdout, and these texts on
/// stderr.
inline void expect_failure(const CommandResult& result, int exit_code,
                           std::initializer_list<std::string> texts) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  for (const std::string& text : texts) {
    EXPECT_NE(result.err.find(text), std::string::npos)
        << "no \"" << text << "\" in: " << result.err;
  }
}

}  // namespace wholemount::testing
