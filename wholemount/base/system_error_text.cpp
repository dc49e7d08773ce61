#include "wholemount/base/system_error_text.h"

#include <system_error>

namespace wholemount {

std::string system_error_text(int error_number) {
  return std::generic_category().message(error_number);
}

}  // namespace wholemount
