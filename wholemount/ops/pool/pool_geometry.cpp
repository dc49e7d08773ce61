#include "wholemount/ops/pool/pool_geometry.h"

#include "wholemount/base/error.h"
#include "wholemount/tensor/slab_tasks.h"

namespace wholemount {

namespace {

// Positions in a window are kept in float lanes, which count exactly up to here.
constexpr int64_t kMaxWindow = int64_t{1} << 24;

PoolAxis make_axis(const std::string& op_name, char axis, int64_t kernel, int64_t stride,
                   int64_t padding, int64_t input) {
  const std::string where = op_name + ": axis " + axis + ": ";
  if (kernel < 1 || kernel > kMaxWindow || stride < 1 || stride > kMaxWindow) {
    throw ConfigError(where + "kernel " + std::to_string(kernel) + ", stride " +
                      std::to_string(stride) + "; wanted 1 to 2^24");
  }
  if (padding < 0 || 2 * padding > kernel) {
    throw ConfigError(where + "padding " + std::to_string(padding) +
                      ", wanted 0 to half the kernel of " + std::to_string(kernel));
  }
  if (checked_add(input, 2 * padding) < kernel || input < 1) {
    throw ShapeError(where + std::to_string(input) + " voxels with padding " +
                     std::to_string(padding) + " are less than one window of " +
                     std::to_string(kernel));
  }
  return {kernel, stride, padding, input, (input + 2 * padding - kernel) / stride + 1};
}

}  // namespace

PoolGeometry::PoolGeometry(const std::string& op_name, const PoolSpec& spec, const Extent3& input)
    : d(make_axis(op_name, 'd', spec.kernel.d, spec.stride.d, spec.padding.d, input.d)),
      h(make_axis(op_name, 'h', spec.kernel.h, spec.stride.h, spec.padding.h, input.h)),
      w(make_axis(op_name, 'w', spec.kernel.w, spec.stride.w, spec.padding.w, input.w)) {
  if (volume(spec.kernel) > kMaxWindow) {
    throw ConfigError(op_name + ": kernel " + to_string(spec.kernel) +
                      " has more than 2^24 voxels");
  }
}

int64_t PoolGeometry::task_bytes() const {
  const int64_t voxels_per_output =
      checked_multiply(checked_multiply(std::min(d.stride, d.input), std::min(h.stride, h.input)),
                       std::min(w.stride, w.input));
  return std::max<int64_t>(SlabTasks::kTaskBytes / voxels_per_output, 1);
}

Box3 PoolGeometry::voxels_of(const Box3& windows) const {
  if (windows.empty()) return {};
  Box3 box;
  box.begin = {d.voxels_of(windows.begin.d).begin, h.voxels_of(windows.begin.h).begin,
               w.voxels_of(windows.begin.w).begin};
  box.end = {d.voxels_of(windows.end.d - 1).end, h.voxels_of(windows.end.h - 1).end,
             w.voxels_of(windows.end.w - 1).end};
  return box;
}

Box3 PoolGeometry::windows_touching(const Box3& voxels) const {
  if (voxels.empty()) return {};
  const AxisRange along_d = d.windows_touching(voxels.begin.d, voxels.end.d);
  const AxisRange along_h = h.windows_touching(voxels.begin.h, voxels.end.h);
  const AxisRange along_w = w.windows_touching(voxels.begin.w, voxels.end.w);
  return {{along_d.begin, along_h.begin, along_w.begin}, {along_d.end, along_h.end, along_w.end}};
}

std::string to_string(const PoolSpec& spec) {
  return "k" + to_string(spec.kernel) + " s" + to_string(spec.stride) + " p" +
         to_string(spec.padding);
}

}  // namespace wholemount
