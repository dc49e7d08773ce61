#include "wholemount/base/signal_flag.h"

#include <signal.h>

#include <array>
#include <atomic>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

constexpr std::array<int, 2> kSignals = {SIGTERM, SIGINT};

// A handler can reach nothing but globals.
std::atomic<int> received_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);
std::atomic<bool> installed{false};
std::array<struct sigaction, kSignals.size()> former_actions;

void remember_signal(int number) { received_signal.store(number); }

}  // namespace

SignalFlag::SignalFlag() {
  WM_CHECK(!installed.exchange(true), "two signal flags at once");
  received_signal.store(0);
  struct sigaction action = {};
  action.sa_handler = remember_signal;
  sigemptyset(&action.sa_mask);
  // RESETHAND: an impatient second Ctrl-C must end the process.
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &former_actions[i]);
}

SignalFlag::~SignalFlag() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &former_actions[i], nullptr);
  installed.store(false);
}

bool SignalFlag::raised() const { return received_signal.load() != 0; }
int SignalFlag::signal_number() const { return received_signal.load(); }

}  // namespace wholemount
