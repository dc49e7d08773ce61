#include "wholemount/image/geometry.h"

#include <cmath>
#include <limits>

#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

NiftiGeometryFields both_forms() {
  NiftiGeometryFields fields;
  fields.qform_code = 1;
  fields.sform_code = 1;
  fields.pixdim = {2, 3, 4};
  // A quarter turn about z: x' = -y, y' = x.
  fields.quaternion = {0, 0, std::sqrt(0.5)};
  fields.qoffset = {10, 20, 30};
  fields.srow = {{{1, 0, 0, 5}, {0, 1, 0, 6}, {0, 0, 1, 7}}};
  return fields;
}

TEST(Geometry, sform_goes_before_qform_and_qform_before_pixdim) {
  NiftiGeometryFields fields = both_forms();
  EXPECT_EQ(geometry_from_fields(fields, "f").origin_mm, (std::array<double, 3>{5, 6, 7}));
  fields.sform_code = 0;
  const Geometry rotated = geometry_from_fields(fields, "f");
  EXPECT_EQ(rotated.origin_mm, (std::array<double, 3>{10, 20, 30}));
  // One step along w (2 mm) moves along +y; one along h (3 mm) along -x. Tolerance: a few double
  // roundings of values up to 3.
  EXPECT_NEAR(rotated.affine_mm[1][0], 2.0, 1e-14);
  EXPECT_NEAR(rotated.affine_mm[0][1], -3.0, 1e-14);
  EXPECT_NEAR(rotated.direction[0][1], -1.0, 1e-14);
  EXPECT_NEAR(rotated.affine_mm[2][2], 4.0, 1e-14);
  fields.qform_code = 0;
  const Geometry plain = geometry_from_fields(fields, "f");
  EXPECT_FALSE(plain.has_orientation());
  EXPECT_EQ(plain.affine_mm[1][1], 3.0);
  EXPECT_EQ(plain.origin_mm, (std::array<double, 3>{0, 0, 0}));
}

TEST(Geometry, negative_qfac_mirrors_the_third_axis) {
  NiftiGeometryFields fields = both_forms();
  fields.sform_code = 0;
  fields.qfac = -1;
  EXPECT_NEAR(geometry_from_fields(fields, "f").affine_mm[2][2], -4.0, 1e-14);
}

TEST(Geometry, spacing_counts_d_h_w_in_millimetres) {
  NiftiGeometryFields fields = both_forms();
  EXPECT_EQ(geometry_from_fields(fields, "f").spacing_mm, (std::array<double, 3>{4, 3, 2}));
  fields.xyzt_units = 1;  // metres
  fields.pixdim = {0.002, 0.003, -0.004};
  EXPECT_NEAR(geometry_from_fields(fields, "f").spacing_mm[0], 4.0, 1e-15 * 8);
  fields.pixdim = {0, std::nan(""), 1};
  EXPECT_EQ(geometry_from_fields(fields, "f").spacing_mm[2], 1000.0);
}

TEST(Geometry, a_form_that_is_not_finite_is_refused) {
  NiftiGeometryFields fields = both_forms();
  fields.srow[1][2] = std::numeric_limits<double>::infinity();
  WM_EXPECT_ERROR(geometry_from_fields(fields, "f.nii"), FileError, "sform");
}

TEST(Geometry, corner_distance_sees_shift_and_scale) {
  const Geometry a = geometry_from_spacing({1, 1, 1});
  Geometry b = geometry_from_spacing({1, 1, 2});
  EXPECT_EQ(largest_corner_distance_mm(a, a, {10, 10, 10}), 0.0);
  EXPECT_EQ(largest_corner_distance_mm(a, b, {10, 10, 10}), 9.0);
  b = a;
  b.affine_mm[1][3] = -4;
  EXPECT_EQ(largest_corner_distance_mm(a, b, {10, 10, 10}), 4.0);
}

}  // namespace
}  // namespace wholemount
