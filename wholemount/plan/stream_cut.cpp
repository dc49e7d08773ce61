#include "wholemount/plan/stream_cut.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace wholemount {

namespace {

/// A group holds about this part of the largest streamed tensor, ...
constexpr int64_t kWantedGroups = 20;
/// ... but transfers of a channel block are not cut below this.
constexpr int64_t kMinTransferBytes = int64_t{256} << 10;

/// Beyond this part of the tensor two windows gain too little.
constexpr int64_t kMostOfTensor = 3;

Planes planes_of(const Box3& box, const Extent3& extent) {
  if (box.empty()) return {};
  return slabs_are_rows(extent) ? Planes{box.begin.h, box.end.h} : Planes{box.begin.d, box.end.d};
}

void include(Planes& all, const Planes& more) {
  if (more.count() <= 0) return;
  if (all.count() <= 0) {
    all = more;
    return;
  }
  all = {std::min(all.begin, more.begin), std::max(all.end, more.end)};
}

/// The planes one task touches of every streamed tensor.
struct Touched {
  int64_t task = 0;
  int64_t key = 0;
  std::vector<Planes> planes;
};

class Cutter {
 public:
  Cutter(const Kernel& kernel, int num_threads, std::span<const StreamedTensor> tensors)
      : kernel_(kernel), num_threads_(num_threads) {
    cut_.tensors.assign(tensors.begin(), tensors.end());
  }

  std::optional<StreamCut> run() {
    if (!kernel_.streamable()) return std::nullopt;
    int64_t most_units = 1;
    for (const StreamedTensor& tensor : cut_.tensors) {
      const std::optional<SlabUnits> units = slab_units(tensor.desc);
      if (!units.has_value()) return std::nullopt;
      units_.push_back(*units);
      most_units = std::max(most_units, units->count);
    }
    most_units_ = most_units;
    for (int phase = 0; phase < kernel_.num_phases(); ++phase) {
      cut_phase(phase);
    }
    return measure() ? std::optional(std::move(cut_)) : std::nullopt;
  }

 private:
  void cut_phase(int phase) {
    std::vector<Touched> tasks = touched_by_tasks(phase);
    std::stable_sort(tasks.begin(), tasks.end(),
                     [](const Touched& a, const Touched& b) { return a.key < b.key; });
    StreamPhase result;
    result.order.reserve(tasks.size());
    for (const Touched& task : tasks) result.order.push_back(task.task);

    // clean[i]: a group may end before task i, because no plane of an output lies on both sides.
    const size_t n = tasks.size();
    const size_t num_tensors = cut_.tensors.size();
    std::vector<std::vector<Planes>> rest(n + 1, std::vector<Planes>(num_tensors));
    for (size_t i = n; i-- > 0;) {
      rest[i] = rest[i + 1];
      for (size_t t = 0; t < num_tensors; ++t) include(rest[i][t], tasks[i].planes[t]);
    }
    StreamGroup group;
    group.windows.assign(num_tensors, {});
    for (size_t i = 0; i < n; ++i) {
      for (size_t t = 0; t < num_tensors; ++t) include(group.windows[t], tasks[i].planes[t]);
      const bool last = i + 1 == n;
      const int64_t count = static_cast<int64_t>(i) + 1 - group.first_task;
      if (last || (!holds(group, tasks[i + 1].planes) && clean(group, rest[i + 1]) &&
                   large_enough(group, count))) {
        group.last_task = static_cast<int64_t>(i) + 1;
        add_group(result, group, count);
        group = StreamGroup{};
        group.first_task = static_cast<int64_t>(i) + 1;
        group.windows.assign(num_tensors, {});
      }
    }
    cut_.phases.push_back(std::move(result));
  }

  std::vector<Touched> touched_by_tasks(int phase) const {
    std::vector<Touched> tasks;
    for (int64_t task = 0; task < kernel_.num_tasks(phase); ++task) {
      Touched touched;
      touched.task = task;
      touched.key = std::numeric_limits<int64_t>::max();
      for (size_t t = 0; t < cut_.tensors.size(); ++t) {
        const StreamedTensor& tensor = cut_.tensors[t];
        const Box3 box = tensor.output ? kernel_.output_box(phase, task, tensor.operand)
                                       : kernel_.input_box(phase, task, tensor.operand);
        const Planes planes = planes_of(clip(box, tensor.desc.extent), tensor.desc.extent);
        touched.planes.push_back(planes);
        if (planes.count() > 0) {
          // Tensors of different resolution are compared as parts of the whole.
          touched.key =
              std::min(touched.key, (planes.begin + planes.end) * most_units_ / units_[t].count);
        }
      }
      tasks.push_back(std::move(touched));
    }
    return tasks;
  }

  /// The windows of the group are wide enough for these planes.
  static bool holds(const StreamGroup& group, const std::vector<Planes>& planes) {
    for (size_t t = 0; t < planes.size(); ++t) {
      if (planes[t].count() <= 0) continue;
      const Planes& window = group.windows[t];
      if (planes[t].begin < window.begin || planes[t].end > window.end) return false;
    }
    return true;
  }

  /// No plane of an output would lie in this group and in what is left, and outputs end aligned.
  bool clean(const StreamGroup& group, const std::vector<Planes>& rest) const {
    for (size_t t = 0; t < cut_.tensors.size(); ++t) {
      if (!cut_.tensors[t].output || group.windows[t].count() <= 0) continue;
      if (group.windows[t].end % units_[t].grain != 0) return false;
      if (rest[t].count() > 0 && rest[t].begin < group.windows[t].end) return false;
    }
    return true;
  }

  bool large_enough(const StreamGroup& group, int64_t num_tasks) const {
    if (num_tasks < num_threads_) return false;
    for (size_t t = 0; t < cut_.tensors.size(); ++t) {
      const int64_t planes = group.windows[t].count();
      if (planes * kWantedGroups >= units_[t].count &&
          planes * units_[t].bytes >=
              std::min(kMinTransferBytes, units_[t].count * units_[t].bytes / 8)) {
        return true;
      }
    }
    return false;
  }

  void add_group(StreamPhase& phase, StreamGroup group, int64_t num_tasks) {
    for (size_t t = 0; t < group.windows.size(); ++t) {
      Planes& window = group.windows[t];
      if (window.count() <= 0) continue;
      const int64_t grain = units_[t].grain;
      window.begin = window.begin / grain * grain;
      window.end = std::min(round_up(window.end, grain), units_[t].count);
    }
    const auto threads = static_cast<double>(num_threads_);
    const auto tasks = static_cast<double>(num_tasks);
    rounds_ += static_cast<double>(divide_up(num_tasks, num_threads_)) * threads;
    tasks_ += tasks;
    phase.groups.push_back(std::move(group));
  }

  bool measure() {
    const size_t num_tensors = cut_.tensors.size();
    std::vector<int64_t> most_planes(num_tensors, 1);
    std::vector<int64_t> written(num_tensors, 0);
    for (const StreamPhase& phase : cut_.phases) {
      cut_.num_groups += static_cast<int64_t>(phase.groups.size());
      std::vector<Planes> before(num_tensors);
      for (const StreamGroup& group : phase.groups) {
        for (size_t t = 0; t < num_tensors; ++t) {
          const Planes& window = group.windows[t];
          if (window.count() <= 0) continue;
          most_planes[t] = std::max(most_planes[t], window.count());
          const int64_t known = std::max<int64_t>(
              0, std::min(before[t].end, window.end) - std::max(before[t].begin, window.begin));
          const int64_t planes = cut_.tensors[t].output ? window.count() : window.count() - known;
          if (cut_.tensors[t].output) written[t] += planes;
          const int64_t bytes = planes * units_[t].bytes * units_[t].blocks;
          (cut_.tensors[t].output ? cut_.write_bytes : cut_.read_bytes) += bytes;
          if (planes > 0) cut_.num_requests += units_[t].blocks;
          if (!cut_.tensors[t].output)
            cut_.kept_bytes += known * units_[t].bytes * units_[t].blocks;
          before[t] = window;
        }
      }
    }
    for (size_t t = 0; t < num_tensors; ++t) {
      // Every plane of an output is written once, by one window of one phase.
      if (cut_.tensors[t].output && written[t] != units_[t].count) return false;
      const int64_t block = round_up(most_planes[t] * units_[t].bytes, kDiskUnit);
      cut_.window_block_bytes.push_back(block);
      cut_.window_bytes.push_back(static_cast<size_t>(checked_multiply(block, units_[t].blocks)));
      if (most_planes[t] * kMostOfTensor > units_[t].count) return false;
    }
    cut_.imbalance = tasks_ > 0 ? rounds_ / tasks_ : 1.0;
    return true;
  }

  const Kernel& kernel_;
  int num_threads_;
  int64_t most_units_ = 1;
  std::vector<SlabUnits> units_;
  StreamCut cut_;
  double rounds_ = 0;
  double tasks_ = 0;
};

}  // namespace

std::optional<SlabUnits> slab_units(const TensorDesc& desc) {
  if (desc.layout != Layout::blocked16) return std::nullopt;
  SlabUnits units;
  const bool rows = slabs_are_rows(desc.extent);
  units.count = rows ? desc.extent.h : desc.extent.d;
  const int64_t voxels = rows ? desc.extent.w : checked_multiply(desc.extent.h, desc.extent.w);
  units.bytes = checked_multiply(voxels * desc.block_width(), dtype_bytes(desc.dtype));
  units.blocks = checked_multiply(desc.n, desc.num_blocks());
  if (checked_multiply(units.bytes, units.count) % kDiskUnit != 0) return std::nullopt;
  units.grain = kDiskUnit / std::gcd(units.bytes, kDiskUnit);
  return units;
}

std::optional<StreamCut> cut_stream(const Kernel& kernel, int num_threads,
                                    std::span<const StreamedTensor> tensors) {
  return Cutter(kernel, num_threads, tensors).run();
}

}  // namespace wholemount
