#pragma once

namespace wholemount {

/// Whether progress and messages go to a person's terminal: colours and bars are drawn only then.
/// False also for TERM=dumb.
[[nodiscard]] bool stderr_is_terminal();

/// Columns of that terminal; `fallback` when stderr is none or does not tell.
[[nodiscard]] int terminal_columns(int fallback = 80);

}  // namespace wholemount
