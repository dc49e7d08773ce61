#include "wholemount/ops/conv/geometry.h"

#include <algorithm>

namespace wholemount {

namespace {

constexpr int64_t kMaxGeometryField = int64_t{1} << 31;

int64_t floor_divide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
int64_t ceil_divide(int64_t a, int64_t b) { return -floor_divide(-a, b); }

void check_axis(int64_t k, int64_t s, int64_t p, int64_t dil, const char* axis,
                const std::string& where) {
  const bool in_range = k >= 1 && s >= 1 && p >= 0 && dil >= 1 && k < kMaxGeometryField &&
                        s < kMaxGeometryField && p < kMaxGeometryField && dil < kMaxGeometryField;
  if (!in_range) {
    throw ShapeError(where + ": axis " + axis + " has kernel " + std::to_string(k) + ", stride " +
                     std::to_string(s) + ", padding " + std::to_string(p) + ", dilation " +
                     std::to_string(dil) +
                     "; kernel, stride and dilation must be >= 1, padding >= 0, all < 2^31");
  }
}

int64_t output_size(int64_t in, int64_t k, int64_t s, int64_t p, int64_t dil, const char* axis,
                    const std::string& where) {
  check_axis(k, s, p, dil, axis, where);
  const int64_t reach = checked_add(checked_multiply(dil, k - 1), 1);
  const int64_t padded = checked_add(in, 2 * p);
  if (in < 1 || padded < reach) {
    throw ShapeError(where + ": axis " + axis + " has " + std::to_string(in) +
                     " voxels, padded to " + std::to_string(padded) + ", but the kernel spans " +
                     std::to_string(reach) +
                     "; use a larger input, more padding or a smaller kernel");
  }
  return (padded - reach) / s + 1;
}

int64_t adjoint_size(int64_t in, int64_t k, int64_t s, int64_t p, int64_t dil, const char* axis,
                     const std::string& where) {
  check_axis(k, s, p, dil, axis, where);
  const int64_t size =
      checked_add(checked_multiply(in - 1, s), checked_add(checked_multiply(dil, k - 1), 1)) -
      2 * p;
  if (in < 1 || size < 1) {
    throw ShapeError(where + ": axis " + axis + " with " + std::to_string(in) +
                     " voxels would give " + std::to_string(size) +
                     " output voxels; use less padding or a larger input");
  }
  return size;
}

CorrelationAxis forward_axis(int64_t in, int64_t out, int64_t k, int64_t s, int64_t p,
                             int64_t dil) {
  CorrelationAxis axis;
  axis.source_extent = in;
  axis.destination_extent = out;
  axis.source_step = s;
  axis.count = out;
  axis.min_offset = -p;
  axis.max_offset = dil * (k - 1) - p;
  AxisClass all{0, out, {}};
  for (int64_t tap = 0; tap < k; ++tap) all.taps.push_back({dil * tap - p, tap});
  axis.classes.push_back(std::move(all));
  return axis;
}

CorrelationAxis adjoint_axis(int64_t in, int64_t out, int64_t k, int64_t s, int64_t p,
                             int64_t dil) {
  CorrelationAxis axis;
  axis.source_extent = out;
  axis.destination_extent = in;
  axis.destination_step = s;
  axis.count = divide_up(in, s);
  bool first = true;
  for (int64_t residue = 0; residue < std::min(s, in); ++residue) {
    AxisClass one{residue, divide_up(in - residue, s), {}};
    // Backwards, so that offsets rise as in the convolution itself.
    for (int64_t tap = k - 1; tap >= 0; --tap) {
      const int64_t position = residue + p - dil * tap;
      if (position % s != 0) continue;
      const int64_t offset = position / s;
      one.taps.push_back({offset, tap});
      axis.min_offset = first ? offset : std::min(axis.min_offset, offset);
      axis.max_offset = first ? offset : std::max(axis.max_offset, offset);
      first = false;
    }
    axis.classes.push_back(std::move(one));
  }
  return axis;
}

void source_range(const CorrelationAxis& axis, int64_t begin, int64_t end, int64_t& from,
                  int64_t& to) {
  from = axis.source_extent;
  to = 0;
  for (const AxisClass& one : axis.classes) {
    const int64_t last = std::min(end, one.count) - 1;
    if (last < begin) continue;
    for (const AxisTap& tap : one.taps) {
      from = std::min(from, begin * axis.source_step + tap.offset);
      to = std::max(to, last * axis.source_step + tap.offset + 1);
    }
  }
  from = std::max<int64_t>(from, 0);
  to = std::min(to, axis.source_extent);
}

void destination_range(const CorrelationAxis& axis, int64_t begin, int64_t end, int64_t& from,
                       int64_t& to) {
  from = begin * axis.destination_step;
  to = std::min(end * axis.destination_step, axis.destination_extent);
}

}  // namespace

Extent3 conv_output_extent(const ConvGeometry& g, const Extent3& input, const std::string& where) {
  return {output_size(input.d, g.kernel.d, g.stride.d, g.padding.d, g.dilation.d, "d", where),
          output_size(input.h, g.kernel.h, g.stride.h, g.padding.h, g.dilation.h, "h", where),
          output_size(input.w, g.kernel.w, g.stride.w, g.padding.w, g.dilation.w, "w", where)};
}

Extent3 conv_adjoint_extent(const ConvGeometry& g, const Extent3& input, const std::string& where) {
  return {adjoint_size(input.d, g.kernel.d, g.stride.d, g.padding.d, g.dilation.d, "d", where),
          adjoint_size(input.h, g.kernel.h, g.stride.h, g.padding.h, g.dilation.h, "h", where),
          adjoint_size(input.w, g.kernel.w, g.stride.w, g.padding.w, g.dilation.w, "w", where)};
}

Box3 conv_input_region(const ConvGeometry& g, const Box3& box, const Extent3& input) {
  if (box.empty()) return {};
  const Box3 touched{
      {box.begin.d * g.stride.d - g.padding.d, box.begin.h * g.stride.h - g.padding.h,
       box.begin.w * g.stride.w - g.padding.w},
      {(box.end.d - 1) * g.stride.d - g.padding.d + g.dilation.d * (g.kernel.d - 1) + 1,
       (box.end.h - 1) * g.stride.h - g.padding.h + g.dilation.h * (g.kernel.h - 1) + 1,
       (box.end.w - 1) * g.stride.w - g.padding.w + g.dilation.w * (g.kernel.w - 1) + 1}};
  return clip(touched, input);
}

Box3 conv_adjoint_region(const ConvGeometry& g, const Box3& box, const Extent3& output) {
  if (box.empty()) return {};
  const auto first = [](int64_t begin, int64_t k, int64_t s, int64_t p, int64_t dil) {
    return ceil_divide(begin + p - dil * (k - 1), s);
  };
  const auto last = [](int64_t end, int64_t s, int64_t p) {
    return floor_divide(end - 1 + p, s) + 1;
  };
  const Box3 touched{
      {first(box.begin.d, g.kernel.d, g.stride.d, g.padding.d, g.dilation.d),
       first(box.begin.h, g.kernel.h, g.stride.h, g.padding.h, g.dilation.h),
       first(box.begin.w, g.kernel.w, g.stride.w, g.padding.w, g.dilation.w)},
      {last(box.end.d, g.stride.d, g.padding.d), last(box.end.h, g.stride.h, g.padding.h),
       last(box.end.w, g.stride.w, g.padding.w)}};
  return clip(touched, output);
}

Box3 CorrelationGeometry::source_box(const Box3& box) const {
  Box3 touched;
  if (box.empty()) return touched;
  source_range(d, box.begin.d, box.end.d, touched.begin.d, touched.end.d);
  source_range(h, box.begin.h, box.end.h, touched.begin.h, touched.end.h);
  source_range(w, box.begin.w, box.end.w, touched.begin.w, touched.end.w);
  return touched.empty() ? Box3{} : touched;
}

Box3 CorrelationGeometry::destination_box(const Box3& box) const {
  Box3 written;
  if (box.empty()) return written;
  destination_range(d, box.begin.d, box.end.d, written.begin.d, written.end.d);
  destination_range(h, box.begin.h, box.end.h, written.begin.h, written.end.h);
  destination_range(w, box.begin.w, box.end.w, written.begin.w, written.end.w);
  return written;
}

CorrelationGeometry forward_correlation(const ConvGeometry& g, const Extent3& input,
                                        const Extent3& output) {
  return {forward_axis(input.d, output.d, g.kernel.d, g.stride.d, g.padding.d, g.dilation.d),
          forward_axis(input.h, output.h, g.kernel.h, g.stride.h, g.padding.h, g.dilation.h),
          forward_axis(input.w, output.w, g.kernel.w, g.stride.w, g.padding.w, g.dilation.w),
          g.kernel};
}

CorrelationGeometry adjoint_correlation(const ConvGeometry& g, const Extent3& input,
                                        const Extent3& output) {
  return {adjoint_axis(input.d, output.d, g.kernel.d, g.stride.d, g.padding.d, g.dilation.d),
          adjoint_axis(input.h, output.h, g.kernel.h, g.stride.h, g.padding.h, g.dilation.h),
          adjoint_axis(input.w, output.w, g.kernel.w, g.stride.w, g.padding.w, g.dilation.w),
          g.kernel};
}

}  // namespace wholemount
