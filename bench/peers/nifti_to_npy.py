"""Reads little-endian NIfTI-1 files (.nii, .nii.gz) of one shape and saves them as the channels of
one float32 array [1, c, d, h, w]. Usage: nifti_to_npy.py OUT.npy FILE...
"""

import gzip
import sys

import numpy as np

TYPES = {2: "<u1", 4: "<i2", 8: "<i4", 16: "<f4", 64: "<f8", 512: "<u2"}


def read(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        data = file.read()
    dims = np.frombuffer(data, "<i2", 8, 40)
    kind = int(np.frombuffer(data, "<i2", 1, 70)[0])
    offset = int(np.frombuffer(data, "<f4", 1, 108)[0])
    slope, intercept = np.frombuffer(data, "<f4", 2, 112)
    w, h, d = (int(size) for size in dims[1:4])
    channels = int(dims[4]) if dims[0] > 3 else 1
    values = np.frombuffer(data, TYPES[kind], channels * d * h * w, offset).astype(np.float32)
    if slope not in (0.0, 1.0) or intercept != 0.0:
        values = values * (slope or 1.0) + intercept
    return values.reshape(channels, d, h, w)


np.save(sys.argv[1], np.concatenate([read(path) for path in sys.argv[2:]])[None])
