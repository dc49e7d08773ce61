#pragma once

// Only for tests: TIFF files of every form, written by libtiff.

#include <tiffio.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "wholemount/tensor/extent3.h"

namespace wholemount::testing {

/// A TIFF to write. Voxel (page, h, w) of sample s is value(page, h, w, s).
struct TiffForm {
  Extent3 extent{1, 37, 53};  ///< pages, rows, columns
  uint16_t samples = 1;
  uint16_t bits = 16;
  uint16_t format = SAMPLEFORMAT_UINT;
  uint16_t planar = PLANARCONFIG_CONTIG;
  uint16_t compression = COMPRESSION_NONE;
  uint16_t photometric = PHOTOMETRIC_MINISBLACK;
  uint32_t rows_per_strip = 8;
  uint32_t tile = 0;        ///< side of tiles, a multiple of 16; 0: strips
  std::string mode = "wl";  ///< "wb": big endian; "wl8": BigTIFF
  std::string description;
  bool predictor = false;
};

/// Numbers that differ between voxels and fit 8 bits.
inline uint8_t tiff_value(int64_t page, int64_t h, int64_t w, int64_t s) {
  return static_cast<uint8_t>(page * 71 + h * 7 + w * 3 + s * 19 + (h * w) % 11);
}

template <class Voxel>
void write_tiff_rows(TIFF* tiff, const TiffForm& form, int64_t page) {
  const auto voxel = [&](int64_t h, int64_t w, int64_t s) {
    return static_cast<Voxel>(tiff_value(page, h, w, s));
  };
  const bool together = form.planar == PLANARCONFIG_CONTIG;
  const int64_t planes = together ? 1 : form.samples;
  const int64_t per_pixel = together ? form.samples : 1;
  for (int64_t plane = 0; plane < planes; ++plane) {
    if (form.tile == 0) {
      std::vector<Voxel> row(static_cast<size_t>(form.extent.w * per_pixel));
      for (int64_t h = 0; h < form.extent.h; ++h) {
        for (int64_t i = 0; i < form.extent.w * per_pixel; ++i) {
          row[static_cast<size_t>(i)] = voxel(h, i / per_pixel, plane + i % per_pixel);
        }
        TIFFWriteScanline(tiff, row.data(), static_cast<uint32_t>(h), static_cast<uint16_t>(plane));
      }
      continue;
    }
    const int64_t side = form.tile;
    std::vector<Voxel> tile(static_cast<size_t>(side * side * per_pixel));
    for (int64_t h0 = 0; h0 < form.extent.h; h0 += side) {
      for (int64_t w0 = 0; w0 < form.extent.w; w0 += side) {
        for (int64_t i = 0; i < side * side * per_pixel; ++i) {
          const int64_t pixel = i / per_pixel;
          tile[static_cast<size_t>(i)] =
              voxel(h0 + pixel / side, w0 + pixel % side, plane + i % per_pixel);
        }
        TIFFWriteTile(tiff, tile.data(), static_cast<uint32_t>(w0), static_cast<uint32_t>(h0), 0,
                      static_cast<uint16_t>(plane));
      }
    }
  }
}

inline void write_test_tiff(const std::string& path, const TiffForm& form) {
  TIFF* tiff = TIFFOpen(path.c_str(), form.mode.c_str());
  for (int64_t page = 0; page < form.extent.d; ++page) {
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<uint32_t>(form.extent.w));
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<uint32_t>(form.extent.h));
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, form.samples);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, form.bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLEFORMAT, form.format);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, form.planar);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, form.compression);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, form.photometric);
    if (form.predictor) TIFFSetField(tiff, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
    if (form.tile > 0) {
      TIFFSetField(tiff, TIFFTAG_TILEWIDTH, form.tile);
      TIFFSetField(tiff, TIFFTAG_TILELENGTH, form.tile);
    } else {
      TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, form.rows_per_strip);
    }
    if (page == 0 && !form.description.empty()) {
      TIFFSetField(tiff, TIFFTAG_IMAGEDESCRIPTION, form.description.c_str());
    }
    if (form.photometric == PHOTOMETRIC_PALETTE) {
      std::vector<uint16_t> red(256);
      std::vector<uint16_t> green(256);
      std::vector<uint16_t> blue(256);
      for (size_t i = 0; i < 256; ++i) {
        red[i] = static_cast<uint16_t>(i * 257);
        green[i] = static_cast<uint16_t>((255 - i) * 257);
        blue[i] = static_cast<uint16_t>((i ^ 85) * 257);
      }
      TIFFSetField(tiff, TIFFTAG_COLORMAP, red.data(), green.data(), blue.data());
    }
    if (form.format == SAMPLEFORMAT_IEEEFP) {
      form.bits == 32 ? write_tiff_rows<float>(tiff, form, page)
                      : write_tiff_rows<double>(tiff, form, page);
    } else if (form.bits == 8) {
      write_tiff_rows<uint8_t>(tiff, form, page);
    } else if (form.bits == 16) {
      write_tiff_rows<uint16_t>(tiff, form, page);
    } else {
      write_tiff_rows<uint32_t>(tiff, form, page);
    }
    TIFFWriteDirectory(tiff);
  }
  TIFFClose(tiff);
}

}  // namespace wholemount::testing
