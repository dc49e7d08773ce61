#pragma once

namespace wholemount {

/// While one lives, the first SIGTERM or SIGINT only sets a flag, which the training loop polls to
/// write a checkpoint and end; a second one of the same kind ends the process as usual. The
/// destructor puts the former handlers back. One object at a time (InternalError otherwise).
class SignalFlag {
 public:
  SignalFlag();
  ~SignalFlag();
  SignalFlag(const SignalFlag&) = delete;
  SignalFlag& operator=(const SignalFlag&) = delete;

  /// Whether a signal has arrived since construction. Thread-safe.
  [[nodiscard]] bool raised() const;
  /// The number of the last signal that arrived, 0 if none. Thread-safe.
  [[nodiscard]] int signal_number() const;
};

}  // namespace wholemount
