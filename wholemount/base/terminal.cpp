#include "wholemount/base/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace wholemount {

bool stderr_is_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && (kind == nullptr || std::string_view(kind) != "dumb");
}

int terminal_columns(int fallback) {
  winsize size = {};
  if (!stderr_is_terminal() || ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0) return fallback;
  return size.ws_col > 0 ? size.ws_col : fallback;
}

}  // namespace wholemount
