#include "wholemount/ops/conv/patch_geometry.h"

#include <algorithm>

#include "wholemount/ops/conv/inner/rows.h"

namespace wholemount {

namespace {

/// Calls body(d, h, w, count, position) for the row pieces of the flat voxels [first, last).
template <class Body>
void for_each_piece(const CoarseRows& rows, int64_t first, int64_t last, Body body) {
  const Extent3 size = rows.box.extent();
  for (int64_t at = first; at < last;) {
    const int64_t row = at / size.w;
    const int64_t w = at % size.w;
    const int64_t count = std::min(size.w - w, last - at);
    body(rows.box.begin.d + row / size.h, rows.box.begin.h + row % size.h, w, count, at - first);
    at += count;
  }
}

}  // namespace

std::string patch_geometry_refusal(const ConvGeometry& g, const Extent3& coarse,
                                   const Extent3& fine) {
  const auto axis = [](int64_t kernel, int64_t stride, int64_t padding, int64_t dilation) {
    return kernel == stride && padding == 0 && (dilation == 1 || kernel == 1);
  };
  if (!axis(g.kernel.d, g.stride.d, g.padding.d, g.dilation.d) ||
      !axis(g.kernel.h, g.stride.h, g.padding.h, g.dilation.h) ||
      !axis(g.kernel.w, g.stride.w, g.padding.w, g.dilation.w)) {
    return "takes kernels as large as their stride, without padding";
  }
  if (fine != Extent3{coarse.d * g.stride.d, coarse.h * g.stride.h, coarse.w * g.stride.w}) {
    return "takes images that are a multiple of the stride";
  }
  return {};
}

void pack_patch_voxels(const PatchPack& pack, const CoarseRows& rows, int64_t first, int64_t last,
                       Isa isa, float* out) {
  const BlockTransform transform = block_transform(pack.input->transform, pack.block);
  const auto copy = WM_PICK_ISA(isa, copy_row);
  RowCopy row{};
  row.source_step = pack.step.w * (pack.block.plain ? 1 : 16);
  row.channel_pitch = pack.input->view.block_pitch;
  row.bfloat16 = pack.input->view.is_bfloat16();
  row.channels = pack.block.lanes;
  row.plain = pack.block.plain;
  row.pitch = 16;
  row.transformed = transform.active;
  row.scale = transform.scale;
  row.shift = transform.shift;
  row.slope = transform.slope;
  for_each_piece(
      rows, first, last, [&](int64_t d, int64_t h, int64_t w, int64_t count, int64_t position) {
        row.source = pack.input->view.address(
            pack.n, pack.block.plain ? 0 : pack.block.block, d * pack.step.d + pack.offset.d,
            h * pack.step.h + pack.offset.h, w * pack.step.w + pack.offset.w);
        row.count = count;
        row.destination = out + position * 16;
        copy(row);
      });
}

void patch_offsets(const TensorView& view, const Extent3& step, const CoarseRows& rows,
                   int64_t first, int64_t last, int64_t* offsets) {
  for_each_piece(
      rows, first, last, [&](int64_t d, int64_t h, int64_t w, int64_t count, int64_t position) {
        const int64_t start =
            d * step.d * view.plane_pitch + h * step.h * view.row_pitch + w * step.w * 16;
        for (int64_t i = 0; i < count; ++i) {
          offsets[position + i] = start + i * step.w * 16;
        }
      });
}

CoarseTasks::CoarseTasks(const Extent3& extent, int64_t wanted_tasks, int64_t least_voxels)
    : extent_(extent) {
  const int64_t voxels = std::max(volume(extent) / std::max<int64_t>(wanted_tasks, 1),
                                  std::max<int64_t>(least_voxels, 1));
  const int64_t rows = std::max<int64_t>(voxels / extent.w, 1);
  if (rows >= extent.h) {
    rows_ = extent.h;
    planes_ = std::clamp<int64_t>(rows / extent.h, 1, extent.d);
  } else {
    rows_ = divide_up(extent.h, divide_up(extent.h, rows));
  }
  bands_d_ = divide_up(extent.d, planes_);
  bands_h_ = divide_up(extent.h, rows_);
}

CoarseRows CoarseTasks::at(int64_t task) const {
  const int64_t d = task / bands_h_ * planes_;
  const int64_t h = task % bands_h_ * rows_;
  return {clip({{d, h, 0}, {d + planes_, h + rows_, extent_.w}}, extent_)};
}

}  // namespace wholemount
