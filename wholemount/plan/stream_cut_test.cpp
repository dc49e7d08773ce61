#include "wholemount/plan/stream_cut.h"

#include <gtest/gtest.h>

#include <array>

namespace wholemount {
namespace {

constexpr Extent3 kExtent{80, 64, 64};
constexpr int64_t kTile = 4;
constexpr int64_t kColumns = 9;

/// Tiles of four planes, each cut into columns; a task reads a plane beyond its tile on both sides.
class TileKernel : public Kernel {
 public:
  [[nodiscard]] std::string name() const override { return "tiles"; }
  [[nodiscard]] int64_t flops() const override { return 1; }
  [[nodiscard]] int64_t traffic_bytes() const override { return 1; }
  [[nodiscard]] int64_t num_tasks(int) const override { return kExtent.d / kTile * kColumns; }
  void run(int, int64_t, const KernelArgs&) const override {}
  [[nodiscard]] Box3 input_box(int, int64_t task, int) const override {
    const Box3 box = output_box(0, task, 0);
    return {{box.begin.d - 1, 0, 0}, {box.end.d + 1, kExtent.h, kExtent.w}};
  }
  [[nodiscard]] Box3 output_box(int, int64_t task, int) const override {
    const int64_t tile = task / kColumns;
    return {{tile * kTile, 0, 0}, {(tile + 1) * kTile, kExtent.h, kExtent.w}};
  }
};

TEST(StreamCut, groups_end_between_tiles_so_that_windows_share_their_rims_only) {
  const TileKernel kernel;
  const TensorDesc desc = TensorDesc::activation(1, 16, kExtent);
  for (const bool output : {false, true}) {
    const std::array tensors{StreamedTensor{0, output, desc}};
    const std::optional<StreamCut> cut = cut_stream(kernel, 2, tensors);
    ASSERT_TRUE(cut.has_value());
    for (const StreamGroup& group : cut->phases.front().groups) {
      EXPECT_EQ((group.last_task - group.first_task) % kColumns, 0);
    }
    const auto plane_bytes = static_cast<int64_t>(desc.bytes()) / kExtent.d;
    EXPECT_EQ(output ? cut->write_bytes : cut->read_bytes, static_cast<int64_t>(desc.bytes()));
    // Neighbouring windows have two planes in common: the last tile of one, the first of the other.
    EXPECT_EQ(cut->kept_bytes, output ? 0 : 2 * plane_bytes * (cut->num_groups - 1));
    EXPECT_EQ(cut->num_groups, kExtent.d / kTile);
  }
}

TEST(StreamCut, refuses_windows_that_would_hold_most_of_the_tensor) {
  /// Reads everything for every task.
  class WholeKernel final : public TileKernel {
   public:
    [[nodiscard]] Box3 input_box(int, int64_t, int) const override { return {{0, 0, 0}, kExtent}; }
  };
  const std::array tensors{StreamedTensor{0, false, TensorDesc::activation(1, 16, kExtent)}};
  EXPECT_FALSE(cut_stream(WholeKernel(), 2, tensors).has_value());
}

}  // namespace
}  // namespace wholemount
