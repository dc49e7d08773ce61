#include "wholemount/image/geometry.h"

#include <nifti2_io.h>

#include <algorithm>
#include <cmath>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

using Affine = std::array<std::array<double, 4>, 3>;

double unit_in_mm(int32_t xyzt_units) {
  switch (xyzt_units & 7) {
    case NIFTI_UNITS_METER:
      return 1000.0;
    case NIFTI_UNITS_MICRON:
      return 0.001;
    default:
      return 1.0;
  }
}

// Zero, negative and non-finite voxel sizes occur in the wild where an sform carries the truth.
double usable_size(double pixdim) {
  const double size = std::abs(pixdim);
  return std::isfinite(size) && size > 0 ? size : 1.0;
}

Affine stored_affine(const NiftiGeometryFields& fields) {
  if (fields.sform_code > 0) return fields.srow;
  Affine affine{};
  if (fields.qform_code > 0) {
    const nifti_dmat44 matrix = nifti_quatern_to_dmat44(
        fields.quaternion[0], fields.quaternion[1], fields.quaternion[2], fields.qoffset[0],
        fields.qoffset[1], fields.qoffset[2], usable_size(fields.pixdim[0]),
        usable_size(fields.pixdim[1]), usable_size(fields.pixdim[2]), fields.qfac);
    for (size_t row = 0; row < 3; ++row) {
      for (size_t column = 0; column < 4; ++column) {
        affine[row][column] = matrix.m[row][column];
      }
    }
    return affine;
  }
  for (size_t axis = 0; axis < 3; ++axis) affine[axis][axis] = usable_size(fields.pixdim[axis]);
  return affine;
}

}  // namespace

Geometry geometry_from_fields(const NiftiGeometryFields& fields, const std::string& path) {
  Geometry geometry;
  geometry.nifti = fields;
  const double unit = unit_in_mm(fields.xyzt_units);
  // pixdim counts x, y, z; spacing counts d, h, w.
  for (size_t axis = 0; axis < 3; ++axis) {
    geometry.spacing_mm[2 - axis] = usable_size(fields.pixdim[axis]) * unit;
  }
  geometry.affine_mm = stored_affine(fields);
  for (auto& row : geometry.affine_mm) {
    for (double& value : row) {
      if (!std::isfinite(value)) {
        throw FileError(path, std::string("the ") + (fields.sform_code > 0 ? "sform" : "qform") +
                                  " holds a value that is not finite; correct the header");
      }
      value *= unit;
    }
  }
  for (size_t column = 0; column < 3; ++column) {
    double square = 0.0;
    for (size_t row = 0; row < 3; ++row) {
      square += geometry.affine_mm[row][column] * geometry.affine_mm[row][column];
    }
    const double length = std::sqrt(square);
    for (size_t row = 0; row < 3; ++row) {
      geometry.direction[row][column] = length > 0 ? geometry.affine_mm[row][column] / length : 0.0;
    }
  }
  for (size_t row = 0; row < 3; ++row) geometry.origin_mm[row] = geometry.affine_mm[row][3];
  return geometry;
}

Geometry geometry_from_spacing(const std::array<double, 3>& spacing_mm) {
  NiftiGeometryFields fields;
  fields.sform_code = NIFTI_XFORM_SCANNER_ANAT;
  for (size_t axis = 0; axis < 3; ++axis) {
    // NIfTI-1 stores float32: round now, so that a written file reads back as the same geometry.
    fields.pixdim[axis] = static_cast<double>(static_cast<float>(spacing_mm[2 - axis]));
    fields.srow[axis][axis] = fields.pixdim[axis];
  }
  return geometry_from_fields(fields, "geometry");
}

double largest_corner_distance_mm(const Geometry& a, const Geometry& b,
                                  const std::array<int64_t, 3>& extent_whd) {
  double largest = 0.0;
  for (unsigned corner = 0; corner < 8; ++corner) {
    double square = 0.0;
    for (size_t row = 0; row < 3; ++row) {
      double difference = a.affine_mm[row][3] - b.affine_mm[row][3];
      for (size_t axis = 0; axis < 3; ++axis) {
        const double index =
            (corner >> axis & 1U) != 0 ? static_cast<double>(extent_whd[axis] - 1) : 0.0;
        difference += (a.affine_mm[row][axis] - b.affine_mm[row][axis]) * index;
      }
      square += difference * difference;
    }
    largest = std::max(largest, std::sqrt(square));
  }
  return largest;
}

}  // namespace wholemount
