#include "wholemount/image/volume_header.h"

#include <cmath>

namespace wholemount {

int64_t voxel_bytes(VoxelType type) {
  switch (type) {
    case VoxelType::u8:
    case VoxelType::i8:
      return 1;
    case VoxelType::u16:
    case VoxelType::i16:
      return 2;
    case VoxelType::u32:
    case VoxelType::i32:
    case VoxelType::f32:
      return 4;
    case VoxelType::u64:
    case VoxelType::i64:
    case VoxelType::f64:
      return 8;
    case VoxelType::f128:
      return 16;
  }
  return 0;
}

const char* voxel_type_name(VoxelType type) {
  switch (type) {
    case VoxelType::u8:
      return "uint8";
    case VoxelType::i8:
      return "int8";
    case VoxelType::u16:
      return "uint16";
    case VoxelType::i16:
      return "int16";
    case VoxelType::u32:
      return "uint32";
    case VoxelType::i32:
      return "int32";
    case VoxelType::u64:
      return "uint64";
    case VoxelType::i64:
      return "int64";
    case VoxelType::f32:
      return "float32";
    case VoxelType::f64:
      return "float64";
    case VoxelType::f128:
      return "float128";
  }
  return "?";
}

double largest_number(VoxelType type) {
  if (!is_integer(type)) return 1.0;
  const bool is_signed = type == VoxelType::i8 || type == VoxelType::i16 ||
                         type == VoxelType::i32 || type == VoxelType::i64;
  return std::ldexp(1.0, static_cast<int>(8 * voxel_bytes(type)) - (is_signed ? 1 : 0)) - 1.0;
}

bool is_integer(VoxelType type) {
  return type != VoxelType::f32 && type != VoxelType::f64 && type != VoxelType::f128;
}

int64_t VolumeHeader::plane_bytes() const {
  return checked_multiply(checked_multiply(extent.h, extent.w), voxel_bytes(stored));
}

int64_t VolumeHeader::payload_bytes() const {
  return checked_multiply(checked_multiply(plane_bytes(), extent.d), channels);
}

std::string to_string(const VolumeHeader& header) {
  return "[" + std::to_string(header.extent.d) + ", " + std::to_string(header.extent.h) + ", " +
         std::to_string(header.extent.w) + "] of " + std::to_string(header.channels) +
         (header.channels == 1 ? " channel, " : " channels, ") + voxel_type_name(header.stored);
}

}  // namespace wholemount
