// Counts what is allocated while a program runs: this test's own operator new and mmap do the
// counting, so it is a program of its own.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <vector>

#include "wholemount/base/memory.h"
#include "wholemount/base/rng.h"
#include "wholemount/nets/unet3d.h"
#include "wholemount/train/update_runner.h"

namespace {

std::atomic<bool> counting{false};
std::atomic<size_t> largest{0};

void note(size_t bytes) {
  if (!counting.load(std::memory_order_relaxed)) return;
  size_t known = largest.load();
  while (bytes > known && !largest.compare_exchange_weak(known, bytes)) {
  }
}

}  // namespace

void* operator new(size_t bytes) {
  note(bytes);
  void* memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

// Tensor memory comes from mmap (PageBuffer), so that is counted too.
extern "C" void* mmap(void* address, size_t bytes, int protection, int flags, int file,
                      off_t offset) noexcept {
  using Mmap = void* (*)(void*, size_t, int, int, int, off_t);
  static const auto real = reinterpret_cast<Mmap>(dlsym(RTLD_NEXT, "mmap"));
  note(bytes);
  return real(address, bytes, protection, flags, file, offset);
}

namespace wholemount {
namespace {

/// Bytes that became resident during a second run of an update, and the largest allocation in it.
struct Growth {
  size_t allocation = 0;
  size_t resident = 0;
  size_t arena = 0;
};

Growth second_update(size_t arena_budget_bytes) {
  UNet3dSpec net;
  net.filters = 16;
  net.levels = 3;
  net.norm = NormKind::instance;
  SegmentationLossSpec loss;
  loss.target = TargetKind::regions;
  loss.terms = {{LossName::dice, 1.0}, {LossName::bce, 1.0}};
  const Extent3 extent{48, 64, 64};
  PlanSpec spec;
  spec.num_threads = 2;
  spec.spill = true;
  spec.arena_budget_bytes = arena_budget_bytes;
  UpdatePrograms programs(unet3d_network(net), loss, spec, default_time_model(2));
  const UpdateProgram& program = programs.get(std::array{extent});
  ThreadPool pool(2);
  ParameterStore store(program.graph.graph->parameters, {1, 0});
  store.initialise(1, pool);
  Session session(pool, store, program.program->arena_bytes,
                  std::filesystem::current_path().string(), program.program->spill_bytes);
  std::vector<float> image(static_cast<size_t>(volume(extent)));
  CounterRng rng(1, 0, 0, "image");
  for (float& x : image) x = rng.next_float();
  std::vector<uint8_t> target(image.size(), 1);
  UpdateRunner runner(programs, session, 1);
  const auto update = [&] {
    runner.begin(1);
    const BoundSample sample{extent, reinterpret_cast<std::byte*>(image.data()),
                             reinterpret_cast<std::byte*>(target.data())};
    runner.run(std::array{sample});
  };
  const size_t before = process_memory().resident_bytes;
  update();
  Growth growth;
  growth.arena = program.program->arena_bytes;
  growth.resident = process_memory().resident_bytes - before;
  largest = 0;
  counting = true;
  update();
  counting = false;
  growth.allocation = largest;
  return growth;
}

/// Heap of queues and views, stacks and code touched first: a few MiB, whatever the tensors' size.
constexpr size_t kSmallThings = size_t{8} << 20;

TEST(UnplannedAllocation, a_step_allocates_nothing_tensor_sized_and_touches_its_arena_only) {
  const Growth growth = second_update(SIZE_MAX);
  EXPECT_LE(growth.allocation, size_t{1} << 20);
  // Whole 2 MiB pages become resident at once.
  EXPECT_LE(growth.resident, growth.arena + (size_t{2} << 20) + kSmallThings);
  EXPECT_GT(growth.arena, 4 * kSmallThings);
}

TEST(UnplannedAllocation, nor_do_steps_that_spill_and_stream) {
  const Growth growth = second_update(size_t{40} << 20);
  EXPECT_LE(growth.arena, size_t{40} << 20);
  EXPECT_LE(growth.allocation, size_t{1} << 20);
  EXPECT_LE(growth.resident, growth.arena + (size_t{2} << 20) + kSmallThings);
}

TEST(UnplannedAllocation, the_counter_counts) {
  largest = 0;
  counting = true;
  const std::vector<char> vector(size_t{3} << 20);
  const PageBuffer pages(size_t{8} << 20);
  counting = false;
  EXPECT_GE(largest.load(), size_t{8} << 20);
}

}  // namespace
}  // namespace wholemount
