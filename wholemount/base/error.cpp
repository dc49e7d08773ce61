#include "wholemount/base/error.h"

namespace wholemount {

void throw_internal_error(const char* condition, const char* file, int line,
                          const std::string& message) {
  throw InternalError("internal error: " + message + " (" + condition + " at " + file + ":" +
                      std::to_string(line) + "); please report this");
}

}  // namespace wholemount
