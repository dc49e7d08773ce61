#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "wholemount/data/load_case.h"

namespace wholemount {

/// Memory of a stream, known before it runs.
struct StagingPlan {
  int64_t num_slots = 0;
  size_t slot_bytes = 0;   ///< of the largest case, a multiple of 4 KiB
  size_t total_bytes = 0;  ///< slots and the reader's buffers: what the memory plan counts
  [[nodiscard]] size_t slots_bytes() const { return static_cast<size_t>(num_slots) * slot_bytes; }
};

/// `extents`: of all cases that will be streamed (read_case_headers).
[[nodiscard]] StagingPlan plan_staging(const LoadSpec& spec, std::span<const Extent3> extents,
                                       int64_t num_slots);

/// Loads cases ahead of their use, one after the other, in a background thread. A case is loaded as
/// soon as a slot is free; the results depend on the list alone, never on timing.
/// Used by one thread.
class CaseStream {
 public:
  /// `cases`, `spec` and `memory` (plan.slots_bytes() bytes, 64-byte aligned; empty: the stream
  /// maps its own) must outlive the stream. `order` names cases by their index in `cases`.
  CaseStream(std::span<const Case> cases, const LoadSpec& spec, const StagingPlan& plan,
             std::vector<CaseRequest> order, std::span<std::byte> memory = {});
  CaseStream(const CaseStream&) = delete;
  CaseStream& operator=(const CaseStream&) = delete;
  /// Waits for the case being loaded.
  ~CaseStream();

  /// The next case of the order, waiting until it is loaded; nullptr at the end. Its memory is the
  /// caller's until `release`. At most num_slots cases may be held at a time (InternalError).
  /// Throws what load_case threw for this case.
  [[nodiscard]] const LoadedCase* next();

  /// Gives a case's slot back for loading the next one.
  void release(const LoadedCase* loaded);

  /// Seconds `next` has waited for the disk so far: 0 means loading is entirely hidden.
  [[nodiscard]] double waited_seconds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace wholemount
