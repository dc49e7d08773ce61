#include "wholemount/tensor/tensor_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "wholemount/tensor/slab_tasks.h"
#include "wholemount/tensor/slabs.h"

namespace wholemount {
namespace {

std::vector<float> numbered(const TensorDesc& desc) {
  std::vector<float> values(static_cast<size_t>(desc.storage_elements()));
  std::iota(values.begin(), values.end(), 0.0F);
  return values;
}

std::byte* bytes_of(std::vector<float>& values) {
  return reinterpret_cast<std::byte*>(values.data());
}

TEST(TensorView, whole_view_addresses_blocked_storage_in_n_block_d_h_w_lane_order) {
  const TensorDesc desc = TensorDesc::activation(2, 20, {3, 4, 5});
  std::vector<float> values = numbered(desc);
  const TensorView view = whole_view(desc, bytes_of(values));
  EXPECT_EQ(*view.at<float>(0, 0), 0.0F);
  EXPECT_EQ(*view.at<float>(0, 0, 0, 0, 1), 16.0F);
  EXPECT_EQ(*view.at<float>(0, 0, 0, 1), 80.0F);
  EXPECT_EQ(*view.at<float>(0, 0, 1), 320.0F);
  EXPECT_EQ(*view.at<float>(0, 1), 960.0F);
  EXPECT_EQ(*view.at<float>(1, 0), 1920.0F);
}

// A window is filled as the spill store or a slab buffer would: the held planes of each block.
void expect_window_equals_whole(const TensorDesc& desc, int64_t first, int64_t count) {
  std::vector<float> values = numbered(desc);
  const TensorView whole = whole_view(desc, bytes_of(values));
  const bool rows = slabs_are_rows(desc.extent);
  const int64_t run = (rows ? whole.row_pitch : whole.plane_pitch) * count;
  std::vector<float> held;
  for (int64_t n = 0; n < desc.n; ++n) {
    for (int64_t block = 0; block < desc.num_blocks(); ++block) {
      const float* begin = whole.at<float>(n, block, rows ? 0 : first, rows ? first : 0);
      held.insert(held.end(), begin, begin + run);
    }
  }
  const TensorView window = window_view(desc, bytes_of(held), first, count);
  Box3 box = whole_box(desc.extent);
  (rows ? box.begin.h : box.begin.d) = first;
  (rows ? box.end.h : box.end.d) = first + count;
  for (int64_t n = 0; n < desc.n; ++n) {
    for (int64_t block = 0; block < desc.num_blocks(); ++block) {
      for (int64_t d = box.begin.d; d < box.end.d; ++d) {
        for (int64_t h = box.begin.h; h < box.end.h; ++h) {
          for (int64_t w = 0; w < desc.extent.w; ++w) {
            ASSERT_EQ(*window.at<float>(n, block, d, h, w), *whole.at<float>(n, block, d, h, w));
          }
        }
      }
    }
  }
}

TEST(TensorView, window_of_planes_is_indexed_like_the_whole_tensor) {
  expect_window_equals_whole(TensorDesc::activation(2, 20, {6, 3, 5}), 2, 3);
  expect_window_equals_whole(TensorDesc::activation(2, 3, {6, 3, 5}), 5, 1);
}

TEST(TensorView, window_of_a_2d_tensor_holds_rows) {
  expect_window_equals_whole(TensorDesc::activation(2, 20, {1, 7, 5}), 3, 2);
}

// Marks every element each task covers; all must be marked once.
void expect_tasks_tile(const TensorDesc& desc, int64_t bytes_per_task) {
  const SlabTasks tasks(desc, bytes_per_task);
  std::vector<float> marks(static_cast<size_t>(desc.storage_elements()));
  const TensorView view = whole_view(desc, bytes_of(marks));
  for (int64_t i = 0; i < tasks.count(); ++i) {
    const SlabTasks::Task task = tasks.at(i);
    for_each_run(task.box, {&view}, [&](int64_t d, int64_t h, int64_t count) {
      float* run = view.at<float>(task.n, task.block, d, h);
      for (int64_t j = 0; j < count; ++j) run[j] += 1.0F;
    });
  }
  EXPECT_TRUE(std::all_of(marks.begin(), marks.end(), [](float mark) { return mark == 1.0F; }))
      << to_string(desc) << " at " << bytes_per_task << " bytes a task";
}

TEST(SlabTasks, tasks_cover_every_element_once_for_any_task_size) {
  for (const int64_t bytes : {1, 100, 2000, 5000, 1 << 20}) {
    expect_tasks_tile(TensorDesc::activation(2, 20, {5, 7, 3}), bytes);
    expect_tasks_tile(TensorDesc::activation(1, 3, {5, 7, 3}), bytes);
    expect_tasks_tile(TensorDesc::activation(1, 32, {1, 9, 4}), bytes);
  }
}

TEST(ForEachRun, whole_contiguous_box_is_one_run) {
  const TensorDesc desc = TensorDesc::activation(1, 16, {4, 3, 5});
  std::vector<float> values = numbered(desc);
  const TensorView view = whole_view(desc, bytes_of(values));
  int64_t runs = 0;
  for_each_run(whole_box(desc.extent), {&view}, [&](int64_t, int64_t, int64_t count) {
    ++runs;
    EXPECT_EQ(count, 4 * 3 * 5 * 16);
  });
  EXPECT_EQ(runs, 1);
}

TEST(ForEachRun, padded_rows_are_visited_one_by_one) {
  const TensorDesc desc = TensorDesc::activation(1, 16, {2, 3, 5});
  std::vector<float> values(static_cast<size_t>(2 * 3 * 6 * 16));
  TensorView view = whole_view(desc, bytes_of(values));
  view.row_pitch = 6 * 16;
  view.plane_pitch = 3 * view.row_pitch;
  int64_t runs = 0;
  for_each_run(whole_box(desc.extent), {&view}, [&](int64_t, int64_t, int64_t count) {
    ++runs;
    EXPECT_EQ(count, 5 * 16);
  });
  EXPECT_EQ(runs, 2 * 3);
}

TEST(SlabCut, slabs_tile_the_extent_along_the_slab_axis) {
  for (const Extent3& extent : {Extent3{7, 4, 5}, Extent3{1, 9, 4}}) {
    for (const int64_t wanted : {1, 40, 45, 1000}) {
      const SlabCut cut(extent, wanted);
      int64_t next = 0;
      for (int64_t i = 0; i < cut.num_slabs(); ++i) {
        const Box3 box = cut.box(i);
        const bool rows = slabs_are_rows(extent);
        EXPECT_EQ(rows ? box.begin.h : box.begin.d, next);
        EXPECT_FALSE(box.empty());
        next = rows ? box.end.h : box.end.d;
      }
      EXPECT_EQ(next, slabs_are_rows(extent) ? extent.h : extent.d);
    }
  }
  EXPECT_EQ(SlabCut({144, 240, 240}, 65536).num_slabs(), 144);
}

}  // namespace
}  // namespace wholemount
