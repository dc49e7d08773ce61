#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets: small files of each kind that are right, and some nearly so.

Usage: make_corpus.py CORPUS_FOLDER. Files named finding_* there are past findings and are kept.
"""

import gzip
import hashlib
import json
import pathlib
import struct
import sys


def nifti1(code, bits, voxels, shape=(4, 3, 2, 1), order="<", slope=1.0, inter=0.0, paired=False):
    dim = [len([s for s in shape]), *shape, 1, 1, 1]
    header = struct.pack(order + "i", 348) + bytes(35) + b"\x39"
    header += struct.pack(order + "8h", *dim)
    header += bytes(14) + struct.pack(order + "3h", code, bits, 0)
    header += struct.pack(order + "8f", 1, 1.5, 2, 3, 1, 0, 0, 0)
    header += struct.pack(order + "fff", 0 if paired else 352, slope, inter)
    header += bytes(3) + b"\x02" + bytes(24) + bytes(80) + bytes(24)
    header += struct.pack(order + "2h", 1, 1)
    header += struct.pack(order + "6f", 0.1, 0.2, 0.3, -10, 20, -30)
    header += struct.pack(order + "12f", 1.5, 0, 0, -10, 0, 2, 0, 20, 0, 0, 3, -30)
    header += bytes(16) + (b"ni1\0" if paired else b"n+1\0")
    assert len(header) == 348
    return header + (b"" if paired else bytes(4)) + voxels


def nifti2(code, bits, voxels, shape=(4, 3, 2, 1), order="<"):
    header = struct.pack(order + "i", 540) + b"n+2\0\r\n\x1a\n"
    header += struct.pack(order + "2h", code, bits)
    header += struct.pack(order + "8q", len(shape), *shape, 1, 1, 1)
    header += struct.pack(order + "3d", 0, 0, 0)
    header += struct.pack(order + "8d", -1, 1.5, 2, 3, 1, 0, 0, 0)
    header += struct.pack(order + "q", 544) + struct.pack(order + "2d", 0.5, 10)
    header += struct.pack(order + "4d", 0, 0, 0, 0) + struct.pack(order + "2q", 0, 0)
    header += bytes(80 + 24) + struct.pack(order + "2i", 1, 0)
    header += struct.pack(order + "6d", 0.1, 0.2, 0.3, -10, 20, -30)
    header += struct.pack(order + "12d", 1.5, 0, 0, -10, 0, 2, 0, 20, 0, 0, 3, -30)
    header += struct.pack(order + "3i", 0, 2, 0) + bytes(16 + 1 + 15)
    assert len(header) == 540
    return header + bytes(4) + voxels


def nifti_seeds():
    small = bytes(range(24))
    shorts = struct.pack("<48h", *range(48))
    floats = struct.pack("<24f", *[i * 0.5 for i in range(24)])
    yield "u8.nii", nifti1(2, 8, small)
    yield "i16_two_channels.nii", nifti1(4, 16, shorts, (4, 3, 2, 2), slope=0.5, inter=10)
    yield "i16_big_endian.nii", nifti1(4, 16, struct.pack(">24h", *range(24)), order=">")
    yield "f32.nii.gz", gzip.compress(nifti1(16, 32, floats), mtime=0)
    yield "f64.nii", nifti1(64, 64, struct.pack("<24d", *range(24)))
    yield "f128.nii", nifti1(1536, 128, bytes(24 * 16))
    yield "nan.nii", nifti1(16, 32, struct.pack("<24f", *([float("nan")] * 24)))
    yield "rgb.nii", nifti1(128, 24, bytes(72))
    yield "pair.hdr", nifti1(2, 8, b"", paired=True)
    yield "absurd.nii", nifti1(16, 32, bytes(48), (32767, 32767, 32767, 32767))
    yield "two.nii", nifti2(4, 16, struct.pack("<24h", *range(24)))
    yield "two_big_endian.nii.gz", gzip.compress(nifti2(512, 16, bytes(48), order=">"), mtime=0)
    yield "cut.nii.gz", gzip.compress(nifti1(2, 8, small), mtime=0)[:-9]


def dataset_seeds():
    case = {"image": "./imagesTr/c0.nii.gz", "label": "./labelsTr/c0.nii.gz"}
    brain = {
        "name": "BRATS", "tensorImageSize": "4D",
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor",
                   "3": "enhancing tumour"},
        "numTraining": 1, "numTest": 1, "training": [case], "test": ["./imagesTs/c1.nii.gz"],
    }
    yield "msd_brain.json", json.dumps(brain).encode()
    yield "msd_skipped.json", json.dumps({
        "name": "Toy", "modality": {"0": "MRI"}, "labels": {"0": "background", "1": "a"},
        "training": [case, {"image": "./imagesTr/._c0.nii.gz", "label": "./labelsTr/._c0.nii.gz"}],
        "test": []}).encode()
    yield "nnunet.json", json.dumps({
        "channel_names": {"0": "T1", "1": "CT"}, "labels": {"background": 0, "a": 1, "b": 2},
        "numTraining": 1, "file_ending": ".nii.gz"}).encode()
    yield "nnunet_regions.json", json.dumps({
        "channel_names": {"0": "FLAIR"},
        "labels": {"background": 0, "whole tumor": [1, 2, 3], "core": [2, 3], "ignore": 4},
        "regions_class_order": [1, 2], "numTraining": 1, "file_ending": ".nii.gz"}).encode()
    yield "odd_types.json", b'{"modality": [], "labels": {"0": 1e400, "-1": null}, "training": {}}'
    yield "not_json.json", b"\xff\xfe{"


def csv_seeds():
    yield "labels.csv", b"#labels,0=background,1=edge\nid,image,label\na,i.nii,l.nii\n"
    yield "channels.csv", b'#labels,0=b,7="x, y"\nid,T1,T2,label\n"a b",i.nii,"i.nii",l.nii\r\n'
    yield "unlabelled.csv", b"image\ni.nii\ni.nii\n"
    yield "quotes.csv", b'id,image\n"a""b",i.nii\n"open\n'


def toml_seeds():
    root = pathlib.Path(__file__).resolve().parents[2] / "examples"
    for path in sorted(root.glob("*.toml")):
        yield path.name, path.read_bytes()
    yield "wrong_types.toml", b'[data]\nroot = 3\n[net]\nfilters = "x"\n[train]\nloss = [1, {}]\n'
    yield "dates.toml", b"[train]\nepochs = 1979-05-27T07:32:00Z\nbatch = inf\nseed = -1\n"
    yield "words.toml", b'[data]\nroot = "a\\u00e9\\n"\n[train]\nloss = "dice+bce"\n[memory]\nbudget = "8G"\n'


def safetensors(header, data):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    two = {
        "__metadata__": {"format": "wholemount", "spec": "{}"},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
    }
    yield "two.safetensors", safetensors(two, bytes(32))
    yield "none.safetensors", safetensors({}, b"")
    yield "scalar.safetensors", safetensors(
        {"s": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]}}, bytes(8))
    yield "absurd.safetensors", safetensors(
        {"a": {"dtype": "F64", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 1 << 62]}}, bytes(8))
    yield "long_header.safetensors", struct.pack("<Q", 1 << 62) + b"{}"


def checkpoint(version=1, net="net"):
    values = struct.pack("<32f", *[i * 0.25 for i in range(32)])
    state = struct.pack("<32f", *[i * 0.5 for i in range(32)])
    header = {
        "version": version,
        "state": {"step": 10, "epoch": 1, "validation_losses": [0.5, None], "best_epoch": 1,
                  "best_metric": 0.7, "seconds": 1.5, "config_digest": "c", "data_digest": "d",
                  "net_spec": net},
        "parameters": [{"name": "b", "shape": [4, 3, 1, 1, 1], "offset": 0, "count": 12},
                       {"name": "a", "shape": [1, 5, 1, 1, 1], "offset": 16, "count": 5}],
        "blocks": [{"name": "values", "bytes": len(values),
                    "sha256": hashlib.sha256(values).hexdigest()},
                   {"name": "optimiser_state_0", "bytes": len(state),
                    "sha256": hashlib.sha256(state).hexdigest()}],
    }
    text = json.dumps(header).encode()
    content = b"WMCKPT01" + struct.pack("<Q", len(text)) + hashlib.sha256(text).hexdigest().encode()
    content += text
    for block in (values, state):
        content += bytes(-len(content) % 64) + block
    return content


def checkpoint_seeds():
    whole = checkpoint()
    yield "whole.wmck", whole
    yield "cut.wmck", whole[:-40]
    yield "other_version.wmck", checkpoint(version=2)
    yield "other_net.wmck", checkpoint(net="another")
    yield "start.wmck", whole[:80]


SEEDS = {"nifti": nifti_seeds, "dataset_json": dataset_seeds, "csv_manifest": csv_seeds,
         "toml": toml_seeds, "safetensors": safetensors_seeds, "checkpoint": checkpoint_seeds}


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    for target, seeds in SEEDS.items():
        folder = pathlib.Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in seeds():
            (folder / name).write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
