#include "wholemount/data/case_stream.h"

#include <algorithm>

#include "wholemount/base/checked.h"
#include "wholemount/base/clock.h"
#include "wholemount/base/error.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/parallel/background_worker.h"

namespace wholemount {

namespace {
constexpr int64_t kPage = 4096;
}

struct CaseStream::State {
  struct Slot {
    std::span<std::byte> memory;
    LoadedCase loaded;
    BackgroundWorker::Ticket ticket = 0;
    bool held = false;
  };

  std::span<const Case> cases;
  LoadSpec spec;
  std::vector<CaseRequest> order;
  PageBuffer own_memory;
  std::vector<Slot> slots;
  std::vector<size_t> slot_of;  ///< of every submitted position of the order
  size_t next_position = 0;
  double waited_seconds = 0.0;
  BackgroundWorker worker;  ///< last: its thread ends before what its jobs use

  void submit_into(size_t slot_index) {
    if (slot_of.size() == order.size()) return;
    const CaseRequest request = order[slot_of.size()];
    slot_of.push_back(slot_index);
    Slot* slot = &slots[slot_index];
    slot->ticket = worker.submit([this, request, slot] {
      slot->loaded =
          load_case(cases[static_cast<size_t>(request.case_index)], request, spec, slot->memory);
    });
  }
};

StagingPlan plan_staging(const LoadSpec& spec, std::span<const Extent3> extents,
                         int64_t num_slots) {
  WM_CHECK(num_slots >= 1, "a stream needs a slot");
  int64_t largest = 0;
  for (const Extent3& extent : extents) {
    largest = std::max(largest, static_cast<int64_t>(staging_desc(spec, extent).bytes));
  }
  StagingPlan plan;
  plan.num_slots = num_slots;
  const int64_t slot_bytes = round_up(largest, kPage);
  plan.slot_bytes = static_cast<size_t>(slot_bytes);
  plan.total_bytes = static_cast<size_t>(
      checked_add(checked_multiply(slot_bytes, num_slots), static_cast<int64_t>(load_bytes(spec))));
  return plan;
}

CaseStream::CaseStream(std::span<const Case> cases, const LoadSpec& spec, const StagingPlan& plan,
                       std::vector<CaseRequest> order, std::span<std::byte> memory)
    : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.cases = cases;
  state.spec = spec;
  state.order = std::move(order);
  for (const CaseRequest& request : state.order) {
    WM_CHECK(request.case_index >= 0 && request.case_index < static_cast<int64_t>(cases.size()),
             "the order names a case that does not exist");
  }
  if (memory.empty() && plan.slots_bytes() > 0) {
    state.own_memory = PageBuffer(plan.slots_bytes());
    memory = {state.own_memory.data(), state.own_memory.size()};
  }
  WM_CHECK(memory.size() >= plan.slots_bytes(), "staging memory smaller than planned");
  state.slots.resize(static_cast<size_t>(plan.num_slots));
  state.slot_of.reserve(state.order.size());
  for (size_t i = 0; i < state.slots.size(); ++i) {
    state.slots[i].memory = memory.subspan(i * plan.slot_bytes, plan.slot_bytes);
    state.submit_into(i);
  }
}

CaseStream::~CaseStream() = default;

const LoadedCase* CaseStream::next() {
  State& state = *state_;
  if (state.next_position == state.order.size()) return nullptr;
  WM_CHECK(state.next_position < state.slot_of.size(),
           "all staging slots are held; release a case first");
  State::Slot& slot = state.slots[state.slot_of[state.next_position]];
  ++state.next_position;
  const double start = monotonic_seconds();
  slot.held = true;
  state.worker.wait(slot.ticket);
  state.waited_seconds += monotonic_seconds() - start;
  return &slot.loaded;
}

void CaseStream::release(const LoadedCase* loaded) {
  for (size_t i = 0; i < state_->slots.size(); ++i) {
    State::Slot& slot = state_->slots[i];
    if (&slot.loaded != loaded) continue;
    WM_CHECK(slot.held, "a case was released twice");
    slot.held = false;
    state_->submit_into(i);
    return;
  }
  WM_CHECK(false, "a case of another stream was released");
}

double CaseStream::waited_seconds() const { return state_->waited_seconds; }

}  // namespace wholemount
