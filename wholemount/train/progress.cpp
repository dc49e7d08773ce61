#include "wholemount/train/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <utility>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/terminal.h"

namespace wholemount {
namespace {

void write_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return;  // a closed stderr must not end a run
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
}

std::string without_control_characters(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      c = ' ';
    }
  }
  return result;
}

}  // namespace

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0.0 || seconds > 1e9) {
    return "?";
  }
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) {
    return fmt::format("{} s", whole);
  }
  if (whole < 3600) {
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
  }
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string progress_bar(double fraction) {
  constexpr size_t kCells = 20;
  const double clamped = std::clamp(fraction, 0.0, 1.0);
  const auto full = static_cast<size_t>(clamped * kCells);
  return fmt::format("[{}{}] {:3.0f} %  ", std::string(full, '#'), std::string(kCells - full, '.'),
                     std::floor(100 * clamped));
}

std::string progress_line(const ProgressState& state) {
  std::string line;
  const auto add = [&](const std::string& part) { line += (line.empty() ? "" : "  ") + part; };
  if (!state.activity.empty()) {
    add(state.activity);
  }
  add(fmt::format("epoch {}/{}", state.epoch, state.epochs));
  add(fmt::format("step {}/{}", state.step, state.steps));
  if (state.loss) {
    add(fmt::format("loss {:.4f}", *state.loss));
  }
  if (state.metric) {
    add(fmt::format("{} {:.3f}", state.metric_name, *state.metric));
  }
  if (state.seconds_left) {
    add(duration_text(*state.seconds_left) + " left");
  }
  if (state.bytes_now > 0) {
    add(format_bytes(state.bytes_now) +
        (state.bytes_planned > 0 ? " of " + format_bytes(state.bytes_planned) : std::string()));
  }
  return line;
}

Progress::Progress()
    : Progress(write_to_stderr, stderr_is_terminal(), terminal_columns(), monotonic_seconds) {}

Progress::Progress(Write write, bool terminal, int columns, Seconds now)
    : write_(std::move(write)), now_(std::move(now)), terminal_(terminal), columns_(columns) {}

Progress::~Progress() { finish(); }

void Progress::update(const ProgressState& state) {
  line_ = without_control_characters(progress_line(state));
  fraction_ =
      state.steps > 0 ? static_cast<double>(state.step) / static_cast<double>(state.steps) : 0;
  held_back_ = true;
  const double interval = terminal_ ? kTerminalInterval : kPlainInterval;
  if (!shown_at_ || now_() - *shown_at_ >= interval) {
    show();
  }
}

void Progress::show() {
  shown_at_ = now_();
  held_back_ = false;
  if (!terminal_) {
    write_(line_ + "\n");
    return;
  }
  // One column stays free: a full line would wrap and could not be redrawn.
  const auto room = static_cast<size_t>(columns_ > 1 ? columns_ - 1 : 1);
  std::string text = progress_bar(fraction_) + line_;
  if (text.size() > room) text = line_.substr(0, room);
  write_("\r" + text + "\x1b[K");
  line_open_ = true;
}

void Progress::message(std::string_view text) {
  const std::string plain = without_control_characters(text);
  if (!line_open_) {
    write_(plain + "\n");
    return;
  }
  write_("\r\x1b[K" + plain + "\n");
  show();
}

void Progress::finish() {
  if (held_back_) {
    show();
  }
  if (line_open_) {
    write_("\n");
    line_open_ = false;
  }
}

}  // namespace wholemount
