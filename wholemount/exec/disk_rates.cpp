#include "wholemount/exec/disk_rates.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/parallel/background_worker.h"
#include "wholemount/exec/spill_file.h"

namespace wholemount {

namespace {

constexpr size_t kBlockBytes = size_t{8} << 20;
/// Of each direction: 2 GiB where that is no more than a part of what is free. Disks of virtual
/// machines read and write the first half of a GiB at up to twice the rate they sustain.
constexpr size_t kMostBlocks = 256;
constexpr size_t kLeastBlocks = 64;
constexpr size_t kPartOfFree = 8;
/// Of memory in each direction, in turn: transfers from and to a few MiB that stay in the last
/// cache are a third faster than those of windows.
constexpr size_t kMemoryBlocks = 24;
/// Small requests, whose time beyond that of their bytes is what each request costs.
constexpr size_t kSmallBytes = size_t{64} << 10;
constexpr size_t kSmallRequests = 256;

/// Rates far from those of one direction alone say more about the moment than about the disk.
constexpr double kLeastSharing = 0.4;
constexpr double kMostSharing = 2.0;
constexpr double kMostComputeShare = 0.5;

constexpr double kAloneSeconds = 0.2;

/// Arithmetic on more memory than the caches next to a core hold, as kernels do it.
class Compute {
 public:
  explicit Compute(ThreadPool& pool)
      : pool_(pool), memory_(static_cast<size_t>(pool.num_threads()) * kElements * sizeof(float)) {
    run(1);
  }

  /// Tasks a second while `go_on` holds; at least one round of tasks.
  template <typename GoOn>
  double rate(GoOn go_on) {
    const double begin = monotonic_seconds();
    int64_t tasks = 0;
    do {
      tasks += run(kRounds);
    } while (go_on());
    return static_cast<double>(tasks) / (monotonic_seconds() - begin);
  }

 private:
  static constexpr int64_t kElements = int64_t{1} << 20;
  static constexpr int kRounds = 8;

  int64_t run(int rounds) {
    const int64_t tasks = int64_t{rounds} * pool_.num_threads();
    pool_.run(tasks, [&](int64_t, int thread) {
      float* x = reinterpret_cast<float*>(memory_.data()) + thread * kElements;
      for (int pass = 0; pass < 2; ++pass) {
        for (int64_t i = 0; i < kElements; ++i) x[i] = x[i] * 0.999F + 0.5F;
      }
    });
    return tasks;
  }

  ThreadPool& pool_;
  PageBuffer memory_;
};

/// The two transfer threads with blocks of memory each.
class Traffic {
 public:
  Traffic(const std::string& folder, size_t num_blocks)
      : num_blocks_(num_blocks),
        file_(folder, 2 * num_blocks * kBlockBytes),
        read_(kMemoryBlocks * kBlockBytes),
        written_(kMemoryBlocks * kBlockBytes) {
    // Something to write, so that no layer below can skip zeros.
    auto* words = reinterpret_cast<uint64_t*>(written_.data());
    for (size_t i = 0; i < written_.size() / sizeof(uint64_t); ++i) {
      words[i] = i * 0x9E3779B97F4A7C15ULL;
    }
    // The first pass over reserved space also records it as written; that is not to count.
    for (size_t block = 0; block < 2 * num_blocks_; ++block) {
      file_.write(block * kBlockBytes, memory_of(written_, block), kBlockBytes);
    }
  }

  void begin_reads() {
    begin_ = monotonic_seconds();
    for (size_t block = 0; block < num_blocks_; ++block) {
      last_read_ = reader_.submit([this, block] {
        file_.read(block * kBlockBytes, memory_of(read_, block), kBlockBytes);
        read_end_ = monotonic_seconds();
      });
    }
  }
  void begin_writes() {
    begin_ = monotonic_seconds();
    for (size_t block = 0; block < num_blocks_; ++block) {
      last_write_ = writer_.submit([this, block] {
        file_.write((num_blocks_ + block) * kBlockBytes, memory_of(written_, block), kBlockBytes);
        write_end_ = monotonic_seconds();
      });
    }
  }
  void begin_small_reads() {
    begin_ = monotonic_seconds();
    last_read_ = reader_.submit([this] {
      for (size_t i = 0; i < kSmallRequests; ++i) {
        // Apart, as the channel blocks of a window are.
        const size_t offset = i * (2 * num_blocks_ * kBlockBytes / kSmallRequests);
        file_.read(offset, memory_of(read_, i), kSmallBytes);
      }
      read_end_ = monotonic_seconds();
    });
  }
  [[nodiscard]] double bytes() const { return static_cast<double>(num_blocks_ * kBlockBytes); }
  [[nodiscard]] bool busy() const {
    return (last_read_ >= 0 && !reader_.done(last_read_)) ||
           (last_write_ >= 0 && !writer_.done(last_write_));
  }
  /// From the last begin to the end of the last transfer.
  double seconds() {
    double end = begin_ + 1e-9;
    if (last_read_ >= 0) {
      reader_.wait(last_read_);
      end = std::max(end, read_end_);
    }
    if (last_write_ >= 0) {
      writer_.wait(last_write_);
      end = std::max(end, write_end_);
    }
    last_read_ = -1;
    last_write_ = -1;
    return end - begin_;
  }

 private:
  static std::byte* memory_of(const PageBuffer& buffer, size_t block) {
    return buffer.data() + block % kMemoryBlocks * kBlockBytes;
  }

  size_t num_blocks_;  ///< of each direction
  SpillFile file_;
  PageBuffer read_;
  PageBuffer written_;
  double begin_ = 0;
  double read_end_ = 0;   ///< written by the reader, read after waiting for it
  double write_end_ = 0;  ///< the same of the writer
  BackgroundWorker::Ticket last_read_ = -1;
  BackgroundWorker::Ticket last_write_ = -1;
  BackgroundWorker reader_;
  BackgroundWorker writer_;
};

size_t blocks_for(const std::string& folder) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder, error);
  if (error) return kLeastBlocks;  // opening the file will say what is wrong
  return std::clamp(static_cast<size_t>(space.available) / kPartOfFree / (2 * kBlockBytes),
                    kLeastBlocks, kMostBlocks);
}

}  // namespace

DiskRates measure_disk_rates(const std::string& folder, ThreadPool& pool) {
  Traffic traffic(folder, blocks_for(folder));
  Compute compute(pool);
  const double begin = monotonic_seconds();
  const double alone = compute.rate([&] { return monotonic_seconds() < begin + kAloneSeconds; });
  const auto busy = [&] { return traffic.busy(); };

  DiskRates rates;
  traffic.begin_reads();
  static_cast<void>(compute.rate(busy));
  const double read_seconds = traffic.seconds();
  traffic.begin_writes();
  static_cast<void>(compute.rate(busy));
  const double write_seconds = traffic.seconds();
  traffic.begin_reads();
  traffic.begin_writes();
  const double beside = compute.rate(busy);
  const double both_seconds = traffic.seconds();
  // The two directions share the disk; their solo rates say in which proportion.
  const double sharing =
      std::clamp((read_seconds + write_seconds) / both_seconds, kLeastSharing, kMostSharing);
  rates.read_bytes_per_second = traffic.bytes() / read_seconds * sharing;
  rates.write_bytes_per_second = traffic.bytes() / write_seconds * sharing;
  traffic.begin_small_reads();
  static_cast<void>(compute.rate(busy));
  constexpr auto kSmallTotal = static_cast<double>(kSmallBytes * kSmallRequests);
  rates.request_seconds = std::max(
      (traffic.seconds() - kSmallTotal * read_seconds / traffic.bytes()) / kSmallRequests, 0.0);
  rates.compute_share = std::clamp(1 - beside / alone, 0.0, kMostComputeShare);
  return rates;
}

}  // namespace wholemount
