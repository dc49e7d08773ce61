// A second of seeded mutations of small TIFF and PNG files: whatever the bytes, reading ends in
// voxels or in a FileError, and never allocates by what a header claims.

#include <array>

#include "wholemount/base/clock.h"
#include "wholemount/base/memory.h"
#include "wholemount/base/rng.h"
#include "wholemount/image/png_reader.h"
#include "wholemount/image/png_writer.h"
#include "wholemount/image/tiff_reader.h"
#include "wholemount/image/tiff_test_support.h"
#include "wholemount/image/volume_test_support.h"

namespace wholemount {
namespace {

using testing::TiffForm;

template <class Reader>
void read_everything(std::vector<std::byte> bytes) {
  try {
    Reader reader(open_memory_source(std::move(bytes), "fuzz.image"));
    const VolumeHeader& header = reader.header();
    if (volume(header.extent) * header.channels > 100'000) return;
    reader.verify_payload(NonFinite::refuse);
  } catch (const FileError& error) {
    EXPECT_NE(std::string(error.what()).find("fuzz.image"), std::string::npos) << error.what();
  }
}

std::vector<std::byte> mutated(std::vector<std::byte> bytes, CounterRng* rng) {
  const uint64_t num_changes = 1 + rng->next_below(4);
  for (uint64_t i = 0; i < num_changes && !bytes.empty(); ++i) {
    const size_t at = rng->next_below(bytes.size());
    switch (rng->next_below(4)) {
      case 0:
        bytes[at] = static_cast<std::byte>(rng->next_below(256));
        break;
      case 1:
        bytes[at] ^= static_cast<std::byte>(1U << rng->next_below(8));
        break;
      case 2: {
        constexpr std::array<uint8_t, 4> kExtremes{0x00, 0x7f, 0x80, 0xff};
        for (size_t k = at; k < std::min(at + 4, bytes.size()); ++k) {
          bytes[k] = static_cast<std::byte>(kExtremes[rng->next_below(4)]);
        }
        break;
      }
      default:
        bytes.resize(1 + at);
        break;
    }
  }
  return bytes;
}

std::vector<std::vector<std::byte>> tiff_seeds() {
  const testing::TemporaryFolder folder;
  std::vector<std::vector<std::byte>> seeds;
  for (const uint16_t compression :
       {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS}) {
    for (const uint32_t tile : {0U, 16U}) {
      for (const std::string mode : {"wl", "wb8"}) {
        TiffForm form;
        form.extent = {2, 9, 11};
        form.samples = tile == 0 ? 1 : 2;
        form.compression = compression;
        form.tile = tile;
        form.mode = mode;
        form.description =
            "<OME><Pixels DimensionOrder=\"XYZCT\" SizeZ=\"1\" SizeC=\"2\" SizeT=\"1\"><TiffData "
            "IFD=\"0\" PlaneCount=\"2\"/></Pixels></OME>";
        write_test_tiff(folder / "seed.tif", form);
        seeds.push_back(testing::read_bytes(folder / "seed.tif"));
      }
    }
  }
  TiffForm palette;
  palette.extent = {1, 9, 11};
  palette.bits = 8;
  palette.photometric = PHOTOMETRIC_PALETTE;
  write_test_tiff(folder / "seed.tif", palette);
  seeds.push_back(testing::read_bytes(folder / "seed.tif"));
  return seeds;
}

std::vector<std::byte> png_seed() {
  IndexedImage image{7, 5, std::vector<uint8_t>(35, 1), {{1, 2, 3}, {4, 5, 6}}};
  const std::string text = encode_png(image);
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

TEST(ImageFuzz, any_bytes_end_in_voxels_or_a_file_error_within_little_memory) {
  const std::vector<std::vector<std::byte>> seeds = tiff_seeds();
  const std::vector<std::byte> png = png_seed();
  CounterRng rng(1, 0, 0, "fuzz");
  [[maybe_unused]] const size_t before = process_memory().peak_resident_bytes;
  const double start = monotonic_seconds();
  int64_t runs = 0;
  while (monotonic_seconds() - start < 1.0) {
    read_everything<TiffReader>(mutated(seeds[rng.next_below(seeds.size())], &rng));
    read_everything<PngReader>(mutated(png, &rng));
    ++runs;
  }
  EXPECT_GT(runs, 100);
#ifndef __SANITIZE_ADDRESS__  // it keeps freed memory for a while
  EXPECT_LT(process_memory().peak_resident_bytes - before, size_t{32} << 20);
#endif
}

}  // namespace
}  // namespace wholemount
