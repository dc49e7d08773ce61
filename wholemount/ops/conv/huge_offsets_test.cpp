#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

#include "wholemount/ops/conv/convolution_ops.h"

namespace wholemount {
namespace {

/// Address space whose pages appear when they are written; most of a huge tensor never does.
class SparseTensor {
 public:
  explicit SparseTensor(const TensorDesc& desc) : bytes_(desc.bytes()) {
    void* address = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) return;
    // Huge pages would make the few voxels touched large.
    madvise(address, bytes_, MADV_NOHUGEPAGE);
    view_ = whole_view(desc, static_cast<std::byte*>(address));
  }
  SparseTensor(const SparseTensor&) = delete;
  SparseTensor& operator=(const SparseTensor&) = delete;
  ~SparseTensor() {
    if (view_.origin != nullptr) munmap(view_.origin, bytes_);
  }
  [[nodiscard]] bool mapped() const { return view_.origin != nullptr; }
  [[nodiscard]] const TensorView& view() const { return view_; }
  /// Gives the pages back; the values become zero.
  void forget() const { madvise(view_.origin, bytes_, MADV_DONTNEED); }

 private:
  size_t bytes_;
  TensorView view_;
};

/// 2.7e9 elements, 10.7 GB. Plane 4 begins at byte 2^32, plane 8 at element 2^31.
constexpr Extent3 kHuge{10, 4096, 4096};
constexpr int64_t kBytesPlane = 4;
constexpr int64_t kElementsPlane = 8;

float value_at(int64_t d, int64_t h, int64_t w, int64_t lane) {
  return static_cast<float>((d * 31 + h * 17 + w * 7 + lane * 3) % 61 - 30) / 32.0F;
}

/// The tasks of phase 1 that write the first or the last voxel of a row.
std::vector<int64_t> tasks_at(const Kernel& kernel, int64_t plane, int64_t row) {
  std::vector<int64_t> tasks;
  for (int64_t task = 0; task < kernel.num_tasks(1); ++task) {
    const Box3 box = kernel.output_box(1, task, 0);
    if (contains(box, {{plane, row, 0}, {plane + 1, row + 1, 1}}) ||
        contains(box, {{plane, row, kHuge.w - 1}, {plane + 1, row + 1, kHuge.w}})) {
      tasks.push_back(task);
    }
  }
  return tasks;
}

/// A forward convolution of a huge tensor, of which only the tasks at the first plane, the last one
/// and those where offsets leave 32 bits are run, must give what the definition gives there.
void check_forward(const ConvGeometry& geometry, Convolution convolution) {
  const TensorDesc x = TensorDesc::activation(1, 16, kHuge);
  const TensorDesc weights = TensorDesc::plain(16, 16, geometry.kernel);
  const TensorDesc bias = TensorDesc::plain(1, 1, {1, 1, 16});
  const auto op = make_conv_op(ConvKind::conv, geometry);
  const std::vector<TensorDesc> inputs{weights, bias, x};
  const std::vector<TensorDesc> outputs = op->infer(inputs);
  const auto kernel = op->prepare({inputs, outputs, Target{best_isa(), false, convolution}});
  SCOPED_TRACE(kernel->name());
  const SparseTensor source(x);
  const SparseTensor result(outputs[0]);
  if (!source.mapped() || !result.mapped()) GTEST_SKIP() << "no address space for 20 GB";

  std::vector<float> weight_values(static_cast<size_t>(weights.num_elements()));
  for (size_t i = 0; i < weight_values.size(); ++i) {
    weight_values[i] = static_cast<float>(static_cast<int64_t>(i * 37 % 41) - 20) / 64.0F;
  }
  std::vector<float> bias_values(16, 0.25F);
  const std::vector<InputView> views{
      {whole_view(weights, reinterpret_cast<std::byte*>(weight_values.data())), {}},
      {whole_view(bias, reinterpret_cast<std::byte*>(bias_values.data())), {}},
      {source.view(), {}}};
  const std::vector<OutputView> results{{result.view(), false}};
  std::vector<std::byte> shared(kernel->shared_scratch_bytes() + 64);
  std::vector<std::byte> scratch(kernel->thread_scratch_bytes() + 64);
  const auto aligned = [](std::vector<std::byte>& bytes) {
    return bytes.data() + (64 - reinterpret_cast<uintptr_t>(bytes.data()) % 64) % 64;
  };
  const KernelArgs args{views, results, aligned(shared), aligned(scratch), {}};
  for (int64_t task = 0; task < kernel->num_tasks(0); ++task) kernel->run(0, task, args);

  const Extent3& k = geometry.kernel;
  for (const int64_t plane : {int64_t{0}, kBytesPlane - 1, kBytesPlane, kElementsPlane - 1,
                              kElementsPlane, kHuge.d - 1}) {
    const int64_t row = plane == 0 ? 0 : kHuge.h - 1;
    // Only what the check below reads needs values; all else is zeros.
    for (int64_t d = plane - k.d / 2; d <= plane + k.d / 2; ++d) {
      for (int64_t h = row - k.h / 2; h <= row + k.h / 2; ++h) {
        if (d < 0 || d >= kHuge.d || h < 0 || h >= kHuge.h) continue;
        for (const int64_t w : {int64_t{0}, int64_t{1}, kHuge.w - 2, kHuge.w - 1}) {
          auto* lanes = source.view().at<float>(0, 0, d, h, w);
          for (int64_t lane = 0; lane < 16; ++lane) lanes[lane] = value_at(d, h, w, lane);
        }
      }
    }
    for (const int64_t task : tasks_at(*kernel, plane, row)) kernel->run(1, task, args);
    for (const int64_t w : {int64_t{0}, kHuge.w - 1}) {
      for (int64_t c = 0; c < 16; ++c) {
        double wanted = 0.25;
        for (int64_t i = 0; i < volume(k); ++i) {
          const int64_t d = plane + i / (k.h * k.w) - k.d / 2;
          const int64_t h = row + i / k.w % k.h - k.h / 2;
          const int64_t v = w + i % k.w - k.w / 2;
          if (d < 0 || d >= kHuge.d || h < 0 || h >= kHuge.h || v < 0 || v >= kHuge.w) continue;
          for (int64_t lane = 0; lane < 16; ++lane) {
            wanted += static_cast<double>(value_at(d, h, v, lane)) *
                      static_cast<double>(
                          weight_values[static_cast<size_t>((c * 16 + lane) * volume(k) + i)]);
          }
        }
        // Sums of at most 16 x 27 products below 1/2; F(4,4,4) errs by millionths of their size.
        EXPECT_NEAR(result.view().at<float>(0, 0, plane, row, w)[c], wanted, 2e-4)
            << "plane " << plane << " w " << w << " channel " << c;
      }
    }
    result.forget();
  }
}

TEST(HugeOffsets, direct_convolution_reaches_beyond_two_to_the_31) {
  check_forward({}, Convolution::direct);
}

TEST(HugeOffsets, winograd_reaches_beyond_two_to_the_31) {
  check_forward({}, Convolution::winograd4);
}

TEST(HugeOffsets, matrix_products_reach_beyond_two_to_the_31) {
  check_forward({{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}}, Convolution::best);
}

}  // namespace
}  // namespace wholemount
