#include "wholemount/image/tiff_form.h"

#include <algorithm>

#include "wholemount/base/checked.h"
#include "wholemount/image/tiff_reader.h"

namespace wholemount {

namespace {

constexpr int64_t kMostSamples = 4096;
constexpr int64_t kLongestSide = int64_t{1} << 26;

}  // namespace

std::optional<VoxelType> tiff_voxel_type(const PageForm& form) {
  const int64_t format = form.format;
  const int64_t bits = form.bits;
  if (format == SAMPLEFORMAT_IEEEFP) {
    if (bits == 32) return VoxelType::f32;
    return bits == 64 ? std::optional(VoxelType::f64) : std::nullopt;
  }
  const bool is_signed = format == SAMPLEFORMAT_INT;
  if (!is_signed && format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID) return std::nullopt;
  switch (bits) {
    case 8:
      return is_signed ? VoxelType::i8 : VoxelType::u8;
    case 16:
      return is_signed ? VoxelType::i16 : VoxelType::u16;
    case 32:
      return is_signed ? VoxelType::i32 : VoxelType::u32;
    case 64:
      return is_signed ? VoxelType::i64 : VoxelType::u64;
    default:
      return std::nullopt;
  }
}

std::string tiff_compression_name(int64_t compression) {
  switch (compression) {
    case COMPRESSION_NONE:
      return "none";
    case COMPRESSION_PACKBITS:
      return "PackBits";
    case COMPRESSION_LZW:
      return "LZW";
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE:
      return "deflate";
    case COMPRESSION_JPEG:
      return "JPEG";
    default:
      return "scheme " + std::to_string(compression);
  }
}

int64_t tiff_largest_expansion(int64_t compression) {
  switch (compression) {
    case COMPRESSION_NONE:
      return 1;
    case COMPRESSION_PACKBITS:
      return 64;  // two bytes for 128
    case COMPRESSION_LZW:
      return 1400;  // a table of 4,096 growing strings: 7.4 MB from 3,838 codes of 9 to 12 bits
    case COMPRESSION_ADOBE_DEFLATE:
    case COMPRESSION_DEFLATE:
      return 1032;
    default:
      return 0;
  }
}

PageForm read_page_form(const TiffHandle& handle) {
  PageForm form;
  form.width = handle.field<uint32_t>(TIFFTAG_IMAGEWIDTH, 0);
  form.height = handle.field<uint32_t>(TIFFTAG_IMAGELENGTH, 0);
  form.samples = handle.field<uint16_t>(TIFFTAG_SAMPLESPERPIXEL, 1);
  form.bits = handle.field<uint16_t>(TIFFTAG_BITSPERSAMPLE, 1);
  form.format = handle.field<uint16_t>(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  form.planar = handle.field<uint16_t>(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
  form.compression = handle.field<uint16_t>(TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  form.photometric = handle.field<uint16_t>(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  if (TIFFIsTiled(handle.get()) != 0) {
    form.tile_width = handle.field<uint32_t>(TIFFTAG_TILEWIDTH, 0);
    form.tile_height = handle.field<uint32_t>(TIFFTAG_TILELENGTH, 0);
  } else {
    form.rows_per_strip =
        std::clamp<int64_t>(handle.field<uint32_t>(TIFFTAG_ROWSPERSTRIP, UINT32_MAX), 1,
                            std::max<int64_t>(1, form.height));
  }
  if (form.samples == 1) form.planar = PLANARCONFIG_CONTIG;
  return form;
}

void check_form(const PageForm& form, const std::string& path) {
  const auto refuse = [&](const std::string& reason) { throw FileError(path, reason); };
  if (form.width < 1 || form.height < 1 || form.width > kLongestSide ||
      form.height > kLongestSide || form.samples < 1 || form.samples > kMostSamples) {
    refuse("its sizes are absurd: " + std::to_string(form.width) + " x " +
           std::to_string(form.height) + " of " + std::to_string(form.samples) + " samples");
  }
  if (!tiff_voxel_type(form)) {
    refuse("has samples of " + std::to_string(form.bits) + " bits, format " +
           std::to_string(form.format) +
           "; wanted whole numbers of 8, 16, 32 or 64 bits, or float32 or float64: convert it");
  }
  if (form.photometric == PHOTOMETRIC_YCBCR && form.compression != COMPRESSION_JPEG) {
    refuse("stores colours as YCbCr; wanted grey, RGB or a palette: convert it");
  }
  if (TIFFIsCODECConfigured(static_cast<uint16_t>(form.compression)) == 0) {
    refuse("is compressed by " + tiff_compression_name(form.compression) +
           ", which this build cannot read; store it with LZW, deflate or none");
  }
  if (form.tile_width > 0 &&
      (form.tile_height < 1 || form.tile_width > kLongestSide || form.tile_height > kLongestSide ||
       checked_multiply(
           form.tile_height,
           std::max(form.tile_width * form.samples_together() * form.bytes(), form.row_bytes())) >
           static_cast<int64_t>(kTiffLargestAllocation))) {
    refuse("its tiles are absurd: " + std::to_string(form.tile_width) + " x " +
           std::to_string(form.tile_height));
  }
  if (form.row_bytes() > static_cast<int64_t>(kTiffLargestAllocation)) {
    refuse("a row of it is larger than 256 MiB");
  }
}

}  // namespace wholemount
