#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace wholemount {

/// The geometry fields of a NIfTI header exactly as stored. float32 fields of NIfTI-1 are held as
/// double, which is exact, so writing them back restores every bit.
struct NiftiGeometryFields {
  int version = 1;  ///< 1 or 2: the header version these fields were read from
  int32_t qform_code = 0;
  int32_t sform_code = 0;
  int32_t xyzt_units = 2;  ///< 2 = millimetre
  int32_t dim_info = 0;
  double qfac = 1.0;                      ///< pixdim[0]
  std::array<double, 3> pixdim{1, 1, 1};  ///< of x, y, z
  std::array<double, 3> quaternion{};     ///< b, c, d
  std::array<double, 3> qoffset{};        ///< x, y, z
  std::array<std::array<double, 4>, 3> srow{};
  friend bool operator==(const NiftiGeometryFields&, const NiftiGeometryFields&) = default;
};

/// Where voxels lie in physical space. Physical coordinates are x, y, z in mm; voxel indices are
/// (w, h, d), the file's (i, j, k).
struct Geometry {
  /// Voxel size along [d, h, w], from pixdim; positive.
  std::array<double, 3> spacing_mm{1, 1, 1};
  /// Physical position of voxel (0, 0, 0).
  std::array<double, 3> origin_mm{};
  /// direction[axis][j]: physical axis x, y, z of one voxel step along w, h, d (j = 0, 1, 2), as a
  /// unit vector per column.
  std::array<std::array<double, 3>, 3> direction{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  /// Row-major 3 x 4: (x, y, z) = affine_mm * (w, h, d, 1). The sform where sform_code > 0, else
  /// the qform where qform_code > 0, else pixdim on the diagonal (method 1 of the NIfTI standard).
  std::array<std::array<double, 4>, 3> affine_mm{{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
  NiftiGeometryFields nifti;

  /// False when the file stored neither a qform nor an sform.
  [[nodiscard]] bool has_orientation() const {
    return nifti.qform_code > 0 || nifti.sform_code > 0;
  }
};

/// Geometry as the stored fields tell it (sform before qform before pixdim).
/// Throws FileError naming `path` when a field in use is not finite.
[[nodiscard]] Geometry geometry_from_fields(const NiftiGeometryFields& fields,
                                            const std::string& path);

/// An axis-aligned geometry with the given spacing along [d, h, w], origin 0 and an sform.
[[nodiscard]] Geometry geometry_from_spacing(const std::array<double, 3>& spacing_mm);

/// Largest distance in mm between the places that `a` and `b` give the eight corners of a volume of
/// `extent_whd` voxels.
[[nodiscard]] double largest_corner_distance_mm(const Geometry& a, const Geometry& b,
                                                const std::array<int64_t, 3>& extent_whd);

}  // namespace wholemount
