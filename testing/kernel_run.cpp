#include "testing/kernel_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>

namespace wholemount {

TestInputs::TestInputs(std::vector<TensorDesc> descs, const std::vector<InputFill>& fills,
                       uint64_t seed) {
  for (size_t i = 0; i < descs.size(); ++i) {
    const InputFill fill = i < fills.size() ? fills[i] : InputFill{};
    InputView input;
    input.view.desc = descs[i];
    buffers_.emplace_back(descs[i].n == 0 ? 0 : descs[i].bytes());
    if (descs[i].n != 0) {
      input.view = whole_view(descs[i], buffers_.back().data());
      from_plain(input.view, fill_values(descs[i], fill, seed * 1000 + i));
      input.transform.slope = fill.slope;
      if (fill.scale_shift) add_scale_shift(input, seed * 1000 + 500 + i);
    }
    views_.push_back(input);
  }
}

void TestInputs::add_scale_shift(InputView& input, uint64_t seed) {
  const TensorDesc& desc = input.view.desc;
  const TensorDesc row = TensorDesc::plain(1, 1, {1, 1, round_up(desc.c, 16)}, desc.dtype);
  std::vector<double> scale = fill_values(row, InputFill::uniform(0.5, 1.5), seed);
  std::vector<double> shift = fill_values(row, InputFill::uniform(-0.5, 0.5), seed + 100);
  for (size_t c = 0; c < scale.size(); ++c) {
    if (c % 3 == 1) scale[c] = -scale[c];
    if (static_cast<int64_t>(c) >= desc.c) scale[c] = shift[c] = 0.0;
  }
  const auto keep = [&](const std::vector<double>& values) -> const void* {
    scale_shift_.emplace_back(row.bytes());
    from_plain(whole_view(row, scale_shift_.back().data()), values);
    return scale_shift_.back().data();
  };
  input.transform.scale = keep(scale);
  input.transform.shift = keep(shift);
}

TestOutputs::TestOutputs(const std::vector<TensorDesc>& descs) {
  for (const TensorDesc& desc : descs) {
    buffers_.emplace_back(desc.bytes());
    OutputView output;
    output.view = whole_view(desc, buffers_.back().data());
    views_.push_back(output);
  }
}

TestScratch::TestScratch(const Kernel& kernel, int num_threads)
    : shared_(kernel.shared_scratch_bytes()) {
  for (int i = 0; i < num_threads; ++i) threads_.emplace_back(kernel.thread_scratch_bytes());
}

bool TestScratch::guards_intact() const {
  return shared_.guards_intact() &&
         std::all_of(threads_.begin(), threads_.end(),
                     [](const GuardedBuffer& buffer) { return buffer.guards_intact(); });
}

std::vector<int64_t> task_order(int64_t num_tasks, std::optional<uint64_t> shuffle) {
  std::vector<int64_t> order(static_cast<size_t>(num_tasks));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (shuffle) {
    std::mt19937_64 engine(*shuffle);
    std::shuffle(order.begin(), order.end(), engine);
  }
  return order;
}

void run_kernel(const Kernel& kernel, const std::vector<InputView>& inputs,
                const std::vector<OutputView>& outputs, const std::vector<InputView>& decisions,
                std::optional<uint64_t> shuffle) {
  const int num_threads = shuffle ? 3 : 1;
  TestScratch scratch(kernel, num_threads);
  for (int phase = 0; phase < kernel.num_phases(); ++phase) {
    int thread = 0;
    for (const int64_t task : task_order(kernel.num_tasks(phase), shuffle)) {
      scratch.poison_thread(thread);
      kernel.run(phase, task,
                 {inputs, outputs, scratch.shared(), scratch.thread(thread), decisions});
      thread = (thread + 1) % num_threads;
    }
  }
  EXPECT_TRUE(scratch.guards_intact()) << "written beyond the scratch";
}

void run_kernel(const Kernel& kernel, const std::vector<InputView>& inputs,
                const std::vector<OutputView>& outputs, ThreadPool& threads) {
  const TestScratch scratch(kernel, threads.num_threads());
  for (int phase = 0; phase < kernel.num_phases(); ++phase) {
    threads.run(kernel.num_tasks(phase), [&](int64_t task, int thread) {
      kernel.run(phase, task, {inputs, outputs, scratch.shared(), scratch.thread(thread), {}});
    });
  }
  EXPECT_TRUE(scratch.guards_intact()) << "written beyond the scratch";
}

namespace {

struct SlabRange {
  int64_t first = 0;
  int64_t count = 0;
};

SlabRange slabs_of(const Box3& box, const Extent3& extent) {
  if (box.empty()) return {};
  return slabs_are_rows(extent) ? SlabRange{box.begin.h, box.end.h - box.begin.h}
                                : SlabRange{box.begin.d, box.end.d - box.begin.d};
}

/// One tensor cut to a window, and the way back.
class Window {
 public:
  Window(const TensorView& whole, const Box3& box)
      : whole_(whole), slabs_(slabs_of(box, whole.desc.extent)) {
    const TensorDesc& desc = whole.desc;
    slab_bytes_ = (slabs_are_rows(desc.extent) ? whole.row_pitch : whole.plane_pitch) *
                  dtype_bytes(desc.dtype);
    buffer_ =
        GuardedBuffer(static_cast<size_t>(desc.n * desc.num_blocks() * slabs_.count * slab_bytes_));
    view_ = window_view(desc, buffer_.data(), slabs_.first, slabs_.count);
    copy(true);
  }

  [[nodiscard]] const TensorView& view() const { return view_; }
  [[nodiscard]] bool guards_intact() const { return buffer_.guards_intact(); }
  void write_back() { copy(false); }

  /// True when every voxel of the window outside `box` has the bits of the whole tensor.
  [[nodiscard]] bool unchanged_outside(const Box3& box) const {
    const TensorDesc& desc = whole_.desc;
    const auto voxel_bytes = static_cast<size_t>(desc.block_width() * dtype_bytes(desc.dtype));
    const bool rows = slabs_are_rows(desc.extent);
    const int64_t last = slabs_.first + slabs_.count;
    for (int64_t block = 0; block < desc.n * desc.num_blocks(); ++block) {
      for (int64_t d = rows ? 0 : slabs_.first; d < (rows ? 1 : last); ++d) {
        for (int64_t h = rows ? slabs_.first : 0; h < (rows ? last : desc.extent.h); ++h) {
          for (int64_t w = 0; w < desc.extent.w; ++w) {
            if (contains(box, {{d, h, w}, {d + 1, h + 1, w + 1}})) continue;
            const int64_t offset =
                d * whole_.plane_pitch + h * whole_.row_pitch + w * desc.block_width();
            const int64_t bytes = dtype_bytes(desc.dtype);
            const std::byte* before = whole_.origin + (block * whole_.block_pitch + offset) * bytes;
            const auto* after = reinterpret_cast<const std::byte*>(
                reinterpret_cast<uintptr_t>(view_.origin) +
                static_cast<uintptr_t>((block * view_.block_pitch + offset) * bytes));
            if (std::memcmp(before, after, voxel_bytes) != 0) return false;
          }
        }
      }
    }
    return true;
  }

 private:
  void copy(bool into_window) {
    const TensorDesc& desc = whole_.desc;
    const auto bytes = static_cast<size_t>(slabs_.count * slab_bytes_);
    if (bytes == 0) return;
    for (int64_t block = 0; block < desc.n * desc.num_blocks(); ++block) {
      std::byte* whole = whole_.origin + block * whole_.block_pitch * dtype_bytes(desc.dtype) +
                         slabs_.first * slab_bytes_;
      std::byte* window = buffer_.data() + static_cast<size_t>(block) * bytes;
      if (into_window) {
        std::memcpy(window, whole, bytes);
      } else {
        std::memcpy(whole, window, bytes);
      }
    }
  }

  TensorView whole_;
  SlabRange slabs_;
  int64_t slab_bytes_ = 0;
  GuardedBuffer buffer_;
  TensorView view_;
};

}  // namespace

void run_kernel_on_windows(const Kernel& kernel, const std::vector<InputView>& inputs,
                           TestOutputs& outputs, const std::vector<bool>& windowed_inputs,
                           const std::vector<bool>& windowed_outputs) {
  TestScratch scratch(kernel, 1);
  for (int phase = 0; phase < kernel.num_phases(); ++phase) {
    for (const int64_t task : task_order(kernel.num_tasks(phase), 77)) {
      std::vector<InputView> task_inputs = inputs;
      std::vector<OutputView> task_outputs = outputs.views();
      std::vector<Window> input_windows;
      std::vector<std::pair<size_t, Window>> output_windows;
      for (size_t i = 0; i < inputs.size(); ++i) {
        if (!windowed_inputs[i]) continue;
        const Extent3& extent = inputs[i].view.desc.extent;
        const Box3 box = clip(kernel.input_box(phase, task, static_cast<int>(i)), extent);
        input_windows.emplace_back(inputs[i].view, box);
        task_inputs[i].view = input_windows.back().view();
      }
      for (size_t o = 0; o < outputs.size(); ++o) {
        if (!windowed_outputs[o]) continue;
        const Box3 box = kernel.output_box(phase, task, static_cast<int>(o));
        EXPECT_TRUE(contains(whole_box(outputs.views()[o].view.desc.extent), box))
            << "output_box of task " << task << " leaves the output";
        output_windows.emplace_back(o, Window(outputs.views()[o].view, box));
        task_outputs[o].view = output_windows.back().second.view();
      }
      scratch.poison_thread(0);
      kernel.run(phase, task, {task_inputs, task_outputs, scratch.shared(), scratch.thread(0), {}});
      for (const Window& window : input_windows) EXPECT_TRUE(window.guards_intact());
      for (auto& [o, window] : output_windows) {
        EXPECT_TRUE(window.guards_intact()) << "task " << task << " wrote beyond its window";
        EXPECT_TRUE(window.unchanged_outside(kernel.output_box(phase, task, static_cast<int>(o))))
            << "task " << task << " of phase " << phase << " wrote outside output_box of output "
            << o;
        window.write_back();
      }
    }
  }
  EXPECT_TRUE(scratch.guards_intact()) << "written beyond the scratch";
}

}  // namespace wholemount
