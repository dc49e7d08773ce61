#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace wholemount {

/// Where a run stands, for people.
struct ProgressState {
  std::string activity;  ///< empty while training; e.g. "evaluating"
  int64_t epoch = 0;     ///< running epoch, from 1
  int64_t epochs = 0;
  int64_t step = 0;  ///< updates done
  int64_t steps = 0;
  std::optional<double> loss;
  std::string metric_name = "Dice";  ///< of `metric`
  std::optional<double> metric;
  std::optional<double> seconds_left;
  size_t bytes_now = 0;      ///< resident memory of the process
  size_t bytes_planned = 0;  ///< predicted peak; 0: not known
};

/// Shows progress on stderr: on a terminal one line, with a bar where there is room, that is
/// redrawn at most ten times a second;
/// elsewhere (files, batch systems) a plain line at most every ten seconds, without control
/// characters. Not thread-safe.
class Progress {
 public:
  using Write = std::function<void(std::string_view text)>;
  using Seconds = std::function<double()>;

  static constexpr double kTerminalInterval = 0.1;
  static constexpr double kPlainInterval = 10.0;

  /// On stderr, redrawing if it is a terminal.
  Progress();
  /// For tests: where text goes, whether that is a terminal and how wide, and the clock.
  Progress(Write write, bool terminal, int columns, Seconds now);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// As finish().
  ~Progress();

  /// Shows the state unless the last line is too young.
  void update(const ProgressState& state);
  /// Prints a message on a line of its own; the progress line appears again below it.
  void message(std::string_view text);
  /// Shows the last state if it was held back, and ends the line.
  void finish();

 private:
  void show();

  Write write_;
  Seconds now_;
  bool terminal_;
  int columns_;
  std::string line_;        ///< text of the last state
  double fraction_ = 0;     ///< of the run's updates that are done
  bool held_back_ = false;  ///< line_ has not been shown
  bool line_open_ = false;  ///< the cursor stands on a progress line
  std::optional<double> shown_at_;
};

/// "epoch 3/25  step 120/650  loss 0.1234  Dice 0.812  1:02:33 left  7.91 GiB of 8.00 GiB".
[[nodiscard]] std::string progress_line(const ProgressState& state);

/// "[######..............]  30 %  "
[[nodiscard]] std::string progress_bar(double fraction);

/// "42 s", "3:07", "1:02:33".
[[nodiscard]] std::string duration_text(double seconds);

}  // namespace wholemount
