#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wholemount/tensor/extent3.h"
#include "wholemount/tensor/tensor_desc.h"

namespace wholemount {

/// Geometry of a convolution: kernel, stride, zero padding (both sides) and dilation in [d, h, w].
struct ConvGeometry {
  Extent3 kernel{3, 3, 3};
  Extent3 stride{1, 1, 1};
  Extent3 padding{1, 1, 1};
  Extent3 dilation{1, 1, 1};
  friend bool operator==(const ConvGeometry&, const ConvGeometry&) = default;
};

/// floor((in + 2 p - dil (k - 1) - 1) / stride) + 1 on each axis.
/// Throws ShapeError (naming `where`) when a field is out of range or nothing is left.
[[nodiscard]] Extent3 conv_output_extent(const ConvGeometry& geometry, const Extent3& input,
                                         const std::string& where);

/// (in - 1) stride - 2 p + dil (k - 1) + 1 on each axis: what the adjoint of the convolution
/// (transposed convolution) makes of `input`. Throws ShapeError like conv_output_extent.
[[nodiscard]] Extent3 conv_adjoint_extent(const ConvGeometry& geometry, const Extent3& input,
                                          const std::string& where);

/// The input voxels that the outputs `box` of the convolution touch, clipped to `input`.
[[nodiscard]] Box3 conv_input_region(const ConvGeometry& geometry, const Box3& box,
                                     const Extent3& input);
/// The convolution outputs that touch the input voxels `box`, clipped to `output`.
[[nodiscard]] Box3 conv_adjoint_region(const ConvGeometry& geometry, const Box3& box,
                                       const Extent3& output);

/// One kernel position along an axis: destination j gathers source voxel source_step * j + offset.
struct AxisTap {
  int64_t offset = 0;
  int64_t k = 0;
};

/// The destination voxels start, start + step, ... (`count` of them), which share a tap list.
struct AxisClass {
  int64_t start = 0;
  int64_t count = 0;
  std::vector<AxisTap> taps;  ///< by rising offset
};

/// Both directions of a convolution along one axis as gathers. The convolution itself is one class
/// with source_step = stride; its adjoint has a class for each residue of the stride, each a
/// correlation of step 1 with the taps that hit it.
struct CorrelationAxis {
  int64_t source_extent = 1;
  int64_t destination_extent = 1;
  int64_t source_step = 1;
  int64_t destination_step = 1;
  int64_t count = 1;       ///< largest AxisClass::count
  int64_t min_offset = 0;  ///< over all classes
  int64_t max_offset = 0;
  std::vector<AxisClass> classes;

  /// Source voxels between the first and the last one that `count` destinations touch.
  [[nodiscard]] int64_t span(int64_t num_destinations) const {
    return (num_destinations - 1) * source_step + max_offset - min_offset + 1;
  }
};

/// Axes in the order d, h, w.
struct CorrelationGeometry {
  CorrelationAxis d;
  CorrelationAxis h;
  CorrelationAxis w;
  Extent3 kernel;

  /// The source voxels that destinations j in `box` (in steps of destination_step) touch.
  [[nodiscard]] Box3 source_box(const Box3& box) const;
  /// The destination voxels of j in `box`.
  [[nodiscard]] Box3 destination_box(const Box3& box) const;
};

/// Gathers the outputs of the convolution from its input.
[[nodiscard]] CorrelationGeometry forward_correlation(const ConvGeometry& geometry,
                                                      const Extent3& input, const Extent3& output);
/// Gathers the adjoint: source lies at the convolution's output, destination at its input.
[[nodiscard]] CorrelationGeometry adjoint_correlation(const ConvGeometry& geometry,
                                                      const Extent3& input, const Extent3& output);

}  // namespace wholemount
