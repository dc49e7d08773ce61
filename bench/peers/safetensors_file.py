"""Reads a safetensors file of float32 tensors: (name -> array, metadata)."""

import json
import struct

import numpy as np


def read_safetensors(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        payload = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(payload[begin:end], np.float32).reshape(entry["shape"])
    return tensors, header["__metadata__"]
