#include "wholemount/image/nifti_header.h"

#include <nifti2_io.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "wholemount/base/error.h"

namespace wholemount {

namespace {

static_assert(sizeof(nifti_1_header) == 348 && sizeof(nifti_2_header) == 540);
static_assert(std::endian::native == std::endian::little, "headers are written little endian");

// Files keep at least the header and four extension bytes before their voxels.
constexpr int64_t kExtensionFlagBytes = 4;

struct TypeCode {
  VoxelType type;
  int16_t code;
};
constexpr std::array<TypeCode, 11> kTypeCodes{{{VoxelType::u8, DT_UINT8},
                                               {VoxelType::i8, DT_INT8},
                                               {VoxelType::u16, DT_UINT16},
                                               {VoxelType::i16, DT_INT16},
                                               {VoxelType::u32, DT_UINT32},
                                               {VoxelType::i32, DT_INT32},
                                               {VoxelType::u64, DT_UINT64},
                                               {VoxelType::i64, DT_INT64},
                                               {VoxelType::f32, DT_FLOAT32},
                                               {VoxelType::f64, DT_FLOAT64},
                                               {VoxelType::f128, DT_FLOAT128}}};

const char* refused_type_name(int code) {
  switch (code) {
    case DT_RGB24:
      return "RGB colour";
    case DT_RGBA32:
      return "RGBA colour";
    case DT_COMPLEX64:
    case DT_COMPLEX128:
    case DT_COMPLEX256:
      return "complex numbers";
    case DT_BINARY:
      return "single bits";
    default:
      return nullptr;
  }
}

// Offsets of fields named in messages: {NIfTI-1, NIfTI-2}.
struct FieldOffset {
  int64_t one;
  int64_t two;
};
constexpr FieldOffset kDimField{40, 16};
constexpr FieldOffset kTypeField{70, 12};
constexpr FieldOffset kOffsetField{108, 168};
constexpr FieldOffset kSlopeField{112, 176};

/// The fields of either version in common types.
struct CommonFields {
  int version = 1;
  bool paired = false;
  std::array<int64_t, 8> dim{};
  int datatype = 0;
  double vox_offset = 0;
  double slope = 0;
  double intercept = 0;
  NiftiGeometryFields geometry;
};

template <class Header>
CommonFields common_fields(const Header& raw, int version) {
  CommonFields fields;
  fields.version = version;
  for (size_t i = 0; i < 8; ++i) fields.dim[i] = static_cast<int64_t>(raw.dim[i]);
  fields.datatype = raw.datatype;
  fields.vox_offset = static_cast<double>(raw.vox_offset);
  fields.slope = static_cast<double>(raw.scl_slope);
  fields.intercept = static_cast<double>(raw.scl_inter);
  NiftiGeometryFields& geometry = fields.geometry;
  geometry.version = version;
  geometry.qform_code = raw.qform_code;
  geometry.sform_code = raw.sform_code;
  if constexpr (sizeof(raw.xyzt_units) == 1) {
    geometry.xyzt_units = static_cast<unsigned char>(raw.xyzt_units);
  } else {
    geometry.xyzt_units = raw.xyzt_units;
  }
  geometry.dim_info = static_cast<unsigned char>(raw.dim_info);
  geometry.qfac = static_cast<double>(raw.pixdim[0]);
  for (size_t i = 0; i < 3; ++i) geometry.pixdim[i] = static_cast<double>(raw.pixdim[i + 1]);
  geometry.quaternion = {static_cast<double>(raw.quatern_b), static_cast<double>(raw.quatern_c),
                         static_cast<double>(raw.quatern_d)};
  geometry.qoffset = {static_cast<double>(raw.qoffset_x), static_cast<double>(raw.qoffset_y),
                      static_cast<double>(raw.qoffset_z)};
  for (size_t i = 0; i < 4; ++i) {
    geometry.srow[0][i] = static_cast<double>(raw.srow_x[i]);
    geometry.srow[1][i] = static_cast<double>(raw.srow_y[i]);
    geometry.srow[2][i] = static_cast<double>(raw.srow_z[i]);
  }
  return fields;
}

int64_t field(const CommonFields& fields, FieldOffset offset) {
  return fields.version == 1 ? offset.one : offset.two;
}

CommonFields read_fields(ByteSource& source, bool* big_endian) {
  std::array<std::byte, sizeof(nifti_2_header)> bytes{};
  const size_t count = source.read_some(0, bytes);
  if (count < sizeof(nifti_1_header)) {
    throw FileError(source.path(), static_cast<int64_t>(count),
                    "the file ends inside the header; a NIfTI header has 348 or 540 bytes");
  }
  int32_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof(size));
  const auto swapped = static_cast<int32_t>(__builtin_bswap32(static_cast<uint32_t>(size)));
  *big_endian = swapped == 348 || swapped == 540;
  if (*big_endian) size = swapped;
  if (size == 348) {
    nifti_1_header raw{};
    std::memcpy(&raw, bytes.data(), sizeof(raw));
    if (*big_endian) nifti_swap_as_nifti1(&raw);
    const bool single = std::memcmp(raw.magic, "n+1", 4) == 0;
    if (!single && std::memcmp(raw.magic, "ni1", 4) != 0) {
      throw FileError(source.path(), 344,
                      "not a NIfTI file: the magic \"n+1\" or \"ni1\" is missing (an ANALYZE 7.5 "
                      "file must be converted to NIfTI first)");
    }
    CommonFields fields = common_fields(raw, 1);
    fields.paired = !single;
    return fields;
  }
  if (size == 540) {
    if (count < sizeof(nifti_2_header)) {
      throw FileError(source.path(), static_cast<int64_t>(count),
                      "the file ends inside the NIfTI-2 header of 540 bytes");
    }
    nifti_2_header raw{};
    std::memcpy(&raw, bytes.data(), sizeof(raw));
    if (*big_endian) nifti_swap_as_nifti2(&raw);
    const bool single = std::memcmp(raw.magic, "n+2\0\r\n\032\n", 8) == 0;
    if (!single && std::memcmp(raw.magic, "ni2\0\r\n\032\n", 8) != 0) {
      throw FileError(source.path(), 4,
                      "not a NIfTI file: the magic \"n+2\" or \"ni2\" is missing");
    }
    CommonFields fields = common_fields(raw, 2);
    fields.paired = !single;
    return fields;
  }
  throw FileError(source.path(), 0,
                  "not a NIfTI file: the header size field holds " + std::to_string(size) +
                      ", wanted 348 (NIfTI-1) or 540 (NIfTI-2)");
}

void read_shape(const CommonFields& fields, const std::string& path, VolumeHeader* header) {
  const int64_t at = field(fields, kDimField);
  const int64_t num_axes = fields.dim[0];
  if (num_axes < 1 || num_axes > 7) {
    throw FileError(
        path, at, "dim[0], the number of axes, is " + std::to_string(num_axes) + ", wanted 1 to 7");
  }
  std::array<int64_t, 8> sizes;
  sizes.fill(1);
  for (size_t axis = 1; axis <= static_cast<size_t>(num_axes); ++axis) {
    if (fields.dim[axis] < 1) {
      throw FileError(path, at,
                      "dim[" + std::to_string(axis) + "] is " + std::to_string(fields.dim[axis]) +
                          ", wanted at least 1");
    }
    sizes[axis] = fields.dim[axis];
  }
  header->extent = {sizes[3], sizes[2], sizes[1]};
  for (size_t axis = 4; axis < 8; ++axis) {
    if (sizes[axis] == 1) continue;
    if (header->channels != 1) {
      throw FileError(path, at,
                      "more than one axis after z is longer than 1; wanted at most one, the "
                      "channels");
    }
    header->channels = sizes[axis];
  }
}

void read_type(const CommonFields& fields, const std::string& path, VolumeHeader* header) {
  for (const TypeCode& entry : kTypeCodes) {
    if (entry.code == fields.datatype) {
      header->stored = entry.type;
      return;
    }
  }
  const int64_t at = field(fields, kTypeField);
  const char* name = refused_type_name(fields.datatype);
  throw FileError(path, at,
                  name != nullptr ? std::string("voxels are ") + name +
                                        "; wanted real numbers: split the file into channels first"
                                  : "unknown datatype code " + std::to_string(fields.datatype));
}

void read_scaling(const CommonFields& fields, const std::string& path, VolumeHeader* header) {
  if (fields.slope == 0.0 || !std::isfinite(fields.slope)) return;
  if (!std::isfinite(fields.intercept)) {
    throw FileError(path, field(fields, kSlopeField),
                    "scl_slope is set but scl_inter is not finite; correct the header");
  }
  header->slope = fields.slope;
  header->intercept = fields.intercept;
}

void read_data_offset(const CommonFields& fields, const std::string& path, VolumeHeader* header) {
  const int64_t at = field(fields, kOffsetField);
  const int64_t least = fields.paired ? 0 : (fields.version == 1 ? 348 : 540) + kExtensionFlagBytes;
  // 2^53: beyond it a double no longer tells bytes apart, and no such file exists.
  constexpr double kMost = 9007199254740992.0;
  const double offset = fields.vox_offset;
  if (!std::isfinite(offset) || offset < static_cast<double>(least) || offset > kMost ||
      offset != std::floor(offset)) {
    throw FileError(path, at,
                    "vox_offset is " + std::to_string(offset) + ", wanted a whole number from " +
                        std::to_string(least) + " to the size of the file");
  }
  header->data_offset = static_cast<int64_t>(offset);
}

template <class Number>
Number narrow(double value) {
  return static_cast<Number>(value);
}

template <class Header, class Real>
void fill(Header* raw, const VolumeHeader& header) {
  using Dim = std::remove_reference_t<decltype(raw->dim[0])>;
  raw->dim[0] = header.channels > 1 ? 4 : 3;
  const std::array<int64_t, 7> sizes{
      header.extent.w, header.extent.h, header.extent.d, header.channels, 1, 1, 1};
  for (size_t i = 0; i < 7; ++i) raw->dim[i + 1] = static_cast<Dim>(sizes[i]);
  for (const TypeCode& entry : kTypeCodes) {
    if (entry.type == header.stored) raw->datatype = entry.code;
  }
  raw->bitpix = static_cast<int16_t>(8 * voxel_bytes(header.stored));
  raw->scl_slope = narrow<Real>(header.slope);
  raw->scl_inter = narrow<Real>(header.intercept);
  const NiftiGeometryFields& geometry = header.geometry.nifti;
  raw->qform_code = static_cast<decltype(raw->qform_code)>(geometry.qform_code);
  raw->sform_code = static_cast<decltype(raw->sform_code)>(geometry.sform_code);
  raw->xyzt_units = static_cast<decltype(raw->xyzt_units)>(geometry.xyzt_units);
  raw->dim_info = static_cast<decltype(raw->dim_info)>(geometry.dim_info);
  raw->pixdim[0] = narrow<Real>(geometry.qfac);
  for (size_t i = 0; i < 3; ++i) raw->pixdim[i + 1] = narrow<Real>(geometry.pixdim[i]);
  for (size_t i = 4; i < 8; ++i) raw->pixdim[i] = 1;
  raw->quatern_b = narrow<Real>(geometry.quaternion[0]);
  raw->quatern_c = narrow<Real>(geometry.quaternion[1]);
  raw->quatern_d = narrow<Real>(geometry.quaternion[2]);
  raw->qoffset_x = narrow<Real>(geometry.qoffset[0]);
  raw->qoffset_y = narrow<Real>(geometry.qoffset[1]);
  raw->qoffset_z = narrow<Real>(geometry.qoffset[2]);
  for (size_t i = 0; i < 4; ++i) {
    raw->srow_x[i] = narrow<Real>(geometry.srow[0][i]);
    raw->srow_y[i] = narrow<Real>(geometry.srow[1][i]);
    raw->srow_z[i] = narrow<Real>(geometry.srow[2][i]);
  }
}

template <class Header>
std::vector<std::byte> with_extension_flag(const Header& raw) {
  std::vector<std::byte> bytes(sizeof(raw) + kExtensionFlagBytes);
  std::memcpy(bytes.data(), &raw, sizeof(raw));
  return bytes;
}

}  // namespace

VolumeHeader read_nifti_header(ByteSource& source, bool* paired) {
  VolumeHeader header;
  const CommonFields fields = read_fields(source, &header.big_endian);
  const std::string& path = source.path();
  if (paired != nullptr) {
    *paired = fields.paired;
  } else if (fields.paired) {
    throw FileError(path, "is the header of a .hdr/.img pair; open the pair instead");
  }
  read_shape(fields, path, &header);
  read_type(fields, path, &header);
  read_scaling(fields, path, &header);
  read_data_offset(fields, path, &header);
  header.geometry = geometry_from_fields(fields.geometry, path);
  return header;
}

void check_payload_fits(const VolumeHeader& header, const ByteSource& source) {
  int64_t end = 0;
  try {
    end = checked_add(header.data_offset, header.payload_bytes());
  } catch (const ShapeError&) {
    end = std::numeric_limits<int64_t>::max();
  }
  if (end > source.largest_size()) {
    throw FileError(
        source.path(), source.largest_size(),
        "the header claims " + to_string(header) + ", which needs " +
            (end == std::numeric_limits<int64_t>::max() ? "more than 2^63" : std::to_string(end)) +
            " bytes, but the file can hold at most " + std::to_string(source.largest_size()) +
            ": it is truncated or its header is corrupt");
  }
}

std::vector<std::byte> encode_nifti_header(const VolumeHeader& header) {
  constexpr int64_t kLargestNifti1 = std::numeric_limits<int16_t>::max();
  const bool large = header.extent.d > kLargestNifti1 || header.extent.h > kLargestNifti1 ||
                     header.extent.w > kLargestNifti1 || header.channels > kLargestNifti1;
  if (header.geometry.nifti.version == 2 || large) {
    nifti_2_header raw{};
    raw.sizeof_hdr = sizeof(raw);
    std::memcpy(raw.magic, "n+2\0\r\n\032\n", 8);
    raw.vox_offset = sizeof(raw) + kExtensionFlagBytes;
    fill<nifti_2_header, double>(&raw, header);
    return with_extension_flag(raw);
  }
  nifti_1_header raw{};
  raw.sizeof_hdr = sizeof(raw);
  std::memcpy(raw.magic, "n+1", 4);
  raw.vox_offset = sizeof(raw) + kExtensionFlagBytes;
  raw.regular = 'r';
  fill<nifti_1_header, float>(&raw, header);
  return with_extension_flag(raw);
}

}  // namespace wholemount
