#include "wholemount/exec/stream_runner.h"

#include <algorithm>
#include <cstring>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

/// A view of a window: `data` holds the planes from `first` on, channel blocks `block_bytes` apart.
TensorView view_of_window(const TensorDesc& desc, std::byte* data, int64_t first,
                          const SlabUnits& units, int64_t block_bytes) {
  TensorView view = whole_view(desc, data);
  view.origin = reinterpret_cast<std::byte*>(reinterpret_cast<uintptr_t>(data) -
                                             static_cast<uintptr_t>(first * units.bytes));
  view.block_pitch = block_bytes / dtype_bytes(desc.dtype);
  return view;
}

}  // namespace

StreamRunner::StreamRunner(const Step& step, std::byte* arena, SpillTraffic& traffic,
                           ThreadPool& pool, std::vector<InputView>& inputs,
                           std::vector<OutputView>& outputs)
    : step_(step),
      stream_(*step.stream),
      arena_(arena),
      traffic_(traffic),
      pool_(pool),
      inputs_(inputs),
      outputs_(outputs) {
  for (const StreamedTensor& tensor : stream_.cut->tensors) {
    const std::optional<SlabUnits> units = slab_units(tensor.desc);
    WM_CHECK(units.has_value(), "a streamed tensor is cut into planes");
    windows_.emplace_back();
    windows_.back().units = *units;
  }
}

void StreamRunner::run(std::byte* shared_scratch, std::byte* thread_scratch) {
  for (int phase = 0; phase < step_.kernel->num_phases(); ++phase) {
    run_phase(phase, {shared_scratch, thread_scratch});
  }
  wait_writes();
}

void StreamRunner::run_phase(int phase, const Scratch& scratch) {
  const StreamPhase& cut = stream_.cut->phases[static_cast<size_t>(phase)];
  const Kernel& kernel = *step_.kernel;
  Ticket reading = cut.groups.empty() ? -1 : begin_reads(cut.groups.front());
  for (size_t g = 0; g < cut.groups.size(); ++g) {
    const StreamGroup& group = cut.groups[g];
    if (reading >= 0) traffic_.wait_read(reading);
    turn_to(group);
    reading = g + 1 < cut.groups.size() ? begin_reads(cut.groups[g + 1]) : -1;
    pool_.run(group.last_task - group.first_task, [&](int64_t index, int thread) {
      KernelArgs args;
      args.inputs = inputs_;
      args.outputs = outputs_;
      args.shared_scratch = scratch.shared;
      args.thread_scratch =
          scratch.threads + step_.thread_scratch_pitch * static_cast<size_t>(thread);
      kernel.run(phase, cut.order[static_cast<size_t>(group.first_task + index)], args);
    });
    begin_writes(group);
  }
}

SpillTraffic::Ticket StreamRunner::begin_reads(const StreamGroup& group) {
  struct Fill {
    size_t tensor;
    int window;
    Planes wanted;
    Planes other;
  };
  std::vector<Fill> fills;
  std::vector<ValueId> values;
  for (size_t t = 0; t < windows_.size(); ++t) {
    if (stream_.cut->tensors[t].output || group.windows[t].count() <= 0) continue;
    Windows& windows = windows_[t];
    const int next = 1 - windows.current;
    fills.push_back({t, next, group.windows[t], windows.held[windows.current]});
    windows.held[next] = group.windows[t];
    values.push_back(stream_.values[t]);
  }
  if (fills.empty()) return -1;
  return traffic_.read(values, SpillTraffic::Urgency::urgent, [this, fills] {
    for (const Fill& f : fills) fill(f.tensor, f.window, f.wanted, f.other);
  });
}

void StreamRunner::turn_to(const StreamGroup& group) {
  for (size_t t = 0; t < windows_.size(); ++t) {
    if (group.windows[t].count() <= 0) continue;
    Windows& windows = windows_[t];
    windows.current = 1 - windows.current;
    if (stream_.cut->tensors[t].output) {
      Ticket& writing = windows.writing[windows.current];
      if (writing >= 0) traffic_.wait_write(writing);
      writing = -1;
      windows.held[windows.current] = group.windows[t];
    }
    show(t);
  }
}

void StreamRunner::show(size_t t) {
  const StreamedTensor& tensor = stream_.cut->tensors[t];
  const Windows& windows = windows_[t];
  const TensorView view =
      view_of_window(tensor.desc, data(t, windows.current), windows.held[windows.current].begin,
                     windows.units, stream_.cut->window_block_bytes[t]);
  const auto operand = static_cast<size_t>(tensor.operand);
  (tensor.output ? outputs_[operand].view : inputs_[operand].view) = view;
}

void StreamRunner::begin_writes(const StreamGroup& group) {
  for (size_t t = 0; t < windows_.size(); ++t) {
    if (!stream_.cut->tensors[t].output || group.windows[t].count() <= 0) continue;
    Windows& windows = windows_[t];
    const int window = windows.current;
    const Planes planes = group.windows[t];
    windows.writing[window] =
        traffic_.write(stream_.values[t], SpillTraffic::Urgency::urgent,
                       [this, t, window, planes] { transfer(t, window, planes, planes, true); });
  }
}

void StreamRunner::wait_writes() {
  for (Windows& windows : windows_) {
    for (Ticket& writing : windows.writing) {
      if (writing >= 0) traffic_.wait_write(writing);
      writing = -1;
    }
  }
}

std::byte* StreamRunner::data(size_t tensor, int window) const {
  return arena_ + stream_.window_offsets[tensor] +
         static_cast<size_t>(window) * stream_.cut->window_bytes[tensor];
}

void StreamRunner::transfer(size_t tensor, int window, const Planes& held, const Planes& part,
                            bool write) const {
  if (part.count() <= 0) return;
  const SlabUnits& units = windows_[tensor].units;
  const auto bytes = static_cast<size_t>(part.count() * units.bytes);
  for (int64_t block = 0; block < units.blocks; ++block) {
    const size_t offset = stream_.file_offsets[tensor] +
                          static_cast<size_t>((block * units.count + part.begin) * units.bytes);
    std::byte* memory = data(tensor, window) + block * stream_.cut->window_block_bytes[tensor] +
                        (part.begin - held.begin) * units.bytes;
    if (write) {
      traffic_.file().write(offset, memory, bytes);
    } else {
      traffic_.file().read(offset, memory, bytes);
    }
  }
}

void StreamRunner::fill(size_t tensor, int window, const Planes& wanted,
                        const Planes& other) const {
  const Planes common{std::max(wanted.begin, other.begin), std::min(wanted.end, other.end)};
  if (common.count() <= 0) {
    transfer(tensor, window, wanted, wanted, false);
    return;
  }
  const SlabUnits& units = windows_[tensor].units;
  const int64_t pitch = stream_.cut->window_block_bytes[tensor];
  for (int64_t block = 0; block < units.blocks; ++block) {
    std::memcpy(
        data(tensor, window) + block * pitch + (common.begin - wanted.begin) * units.bytes,
        data(tensor, 1 - window) + block * pitch + (common.begin - other.begin) * units.bytes,
        static_cast<size_t>(common.count() * units.bytes));
  }
  transfer(tensor, window, wanted, {wanted.begin, common.begin}, false);
  transfer(tensor, window, wanted, {common.end, wanted.end}, false);
}

}  // namespace wholemount
