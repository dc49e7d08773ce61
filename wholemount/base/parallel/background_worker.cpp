#include "wholemount/base/parallel/background_worker.h"

#include <pthread.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "wholemount/base/cpu.h"
#include "wholemount/base/error.h"
#include "wholemount/base/parallel/affinity.h"

namespace wholemount {

namespace {

/// Jobs of one urgency run in order, so the n-th is done when n < num_done.
struct Lane {
  std::deque<std::function<void()>> jobs;
  int64_t num_submitted = 0;
  int64_t num_done = 0;
};

constexpr int64_t kLanes = 2;

}  // namespace

/// The ticket of the n-th job of lane l is n * kLanes + l.
struct BackgroundWorker::State {
  std::mutex mutex;
  std::condition_variable job_arrived;
  std::condition_variable job_done;
  Lane lanes[kLanes];  // by urgency
  std::map<Ticket, std::exception_ptr> errors;
  bool stopping = false;
  std::thread thread;

  [[nodiscard]] Lane& lane_of(Ticket ticket) { return lanes[ticket % kLanes]; }
  [[nodiscard]] bool submitted(Ticket ticket) {
    return ticket >= 0 && ticket / kLanes < lane_of(ticket).num_submitted;
  }
  [[nodiscard]] bool is_done(Ticket ticket) { return ticket / kLanes < lane_of(ticket).num_done; }
  /// The lane to serve; nullptr when there is nothing to do.
  [[nodiscard]] Lane* next_lane() {
    for (int64_t lane = kLanes; lane-- > 0;) {
      if (!lanes[lane].jobs.empty()) return &lanes[lane];
    }
    return nullptr;
  }

  void serve() {
    // A thread inherits the mask of the one that made it, which the pool may have pinned.
    set_thread_affinity(process_cpus());
    pthread_setname_np(pthread_self(), "wm-background");
    std::unique_lock lock(mutex);
    for (;;) {
      job_arrived.wait(lock, [this] { return stopping || next_lane() != nullptr; });
      if (stopping) return;
      Lane& lane = *next_lane();
      std::function<void()> job = std::move(lane.jobs.front());
      lane.jobs.pop_front();
      lock.unlock();
      std::exception_ptr error;
      try {
        job();
      } catch (...) {
        error = std::current_exception();
      }
      job = nullptr;  // what the job holds is released before anybody is told that it is done
      lock.lock();
      if (error) errors.emplace(lane.num_done * kLanes + (&lane - lanes), std::move(error));
      ++lane.num_done;
      job_done.notify_all();
    }
  }
};

BackgroundWorker::BackgroundWorker() : state_(std::make_unique<State>()) {
  state_->thread = std::thread([state = state_.get()] { state->serve(); });
}

BackgroundWorker::~BackgroundWorker() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->job_arrived.notify_all();
  state_->thread.join();
}

BackgroundWorker::Ticket BackgroundWorker::submit(std::function<void()> job, Urgency urgency) {
  Ticket ticket = 0;
  {
    const std::lock_guard lock(state_->mutex);
    const auto index = static_cast<Ticket>(urgency);
    Lane& lane = state_->lanes[index];
    lane.jobs.push_back(std::move(job));
    ticket = lane.num_submitted++ * kLanes + index;
  }
  state_->job_arrived.notify_one();
  return ticket;
}

void BackgroundWorker::wait(Ticket ticket) {
  std::unique_lock lock(state_->mutex);
  WM_CHECK(state_->submitted(ticket), "waiting for a job never submitted");
  state_->job_done.wait(lock, [&] { return state_->is_done(ticket); });
  const auto error = state_->errors.find(ticket);
  if (error == state_->errors.end()) return;
  const std::exception_ptr thrown = error->second;
  state_->errors.erase(error);
  lock.unlock();
  std::rethrow_exception(thrown);
}

bool BackgroundWorker::done(Ticket ticket) const {
  const std::lock_guard lock(state_->mutex);
  WM_CHECK(state_->submitted(ticket), "asking for a job never submitted");
  return state_->is_done(ticket);
}

}  // namespace wholemount
