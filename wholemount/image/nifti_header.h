#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "wholemount/image/byte_source.h"
#include "wholemount/image/volume_header.h"

namespace wholemount {

/// Reads and checks the header of a NIfTI-1 or NIfTI-2 file (https://nifti.nimh.nih.gov) of either
/// byte order. `paired` tells that voxels lie in a file of their own (.img), so data_offset counts
/// there. The axes after z must be 1 except one, which is the channel axis.
/// Throws FileError (path, byte offset, reason) for anything else than a volume of real numbers:
/// not NIfTI, absurd sizes, a vox_offset that is not finite, complex or colour voxels. Never
/// allocates by what the header claims.
[[nodiscard]] VolumeHeader read_nifti_header(ByteSource& source, bool* paired = nullptr);

/// Checks that the claimed payload can lie in `source`; a FileError says what is missing.
void check_payload_fits(const VolumeHeader& header, const ByteSource& source);

/// The bytes of a single-file header for `header` (extent, channels, stored, slope, intercept and
/// geometry), the four zero bytes that say "no extension" included: 352 or 544 bytes, little
/// endian. NIfTI-2 where the geometry came from NIfTI-2 or a size exceeds 32,767.
[[nodiscard]] std::vector<std::byte> encode_nifti_header(const VolumeHeader& header);

}  // namespace wholemount
