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

struct BackgroundWorker::State {
  std::mutex mutex;
  std::condition_variable job_arrived;
  std::condition_variable job_done;
  std::deque<std::function<void()>> jobs;
  Ticket num_submitted = 0;
  Ticket num_done = 0;  // jobs run in order, so ticket t is done when t < num_done
  std::map<Ticket, std::exception_ptr> errors;
  bool stopping = false;
  std::thread thread;

  void serve() {
    // A thread inherits the mask of the one that made it, which the pool may have pinned.
    set_thread_affinity(process_cpus());
    pthread_setname_np(pthread_self(), "wm-background");
    std::unique_lock lock(mutex);
    for (;;) {
      job_arrived.wait(lock, [this] { return stopping || !jobs.empty(); });
      if (stopping) return;
      std::function<void()> job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      std::exception_ptr error;
      try {
        job();
      } catch (...) {
        error = std::current_exception();
      }
      job = nullptr;  // what the job holds is released before anybody is told that it is done
      lock.lock();
      if (error) errors.emplace(num_done, std::move(error));
      ++num_done;
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

BackgroundWorker::Ticket BackgroundWorker::submit(std::function<void()> job) {
  Ticket ticket = 0;
  {
    const std::lock_guard lock(state_->mutex);
    state_->jobs.push_back(std::move(job));
    ticket = state_->num_submitted++;
  }
  state_->job_arrived.notify_one();
  return ticket;
}

void BackgroundWorker::wait(Ticket ticket) {
  std::unique_lock lock(state_->mutex);
  WM_CHECK(ticket >= 0 && ticket < state_->num_submitted, "waiting for a job never submitted");
  state_->job_done.wait(lock, [&] { return ticket < state_->num_done; });
  const auto error = state_->errors.find(ticket);
  if (error == state_->errors.end()) return;
  const std::exception_ptr thrown = error->second;
  state_->errors.erase(error);
  lock.unlock();
  std::rethrow_exception(thrown);
}

}  // namespace wholemount
