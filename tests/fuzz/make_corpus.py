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
import zlib


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
    task = {"in_channels": 1, "target": "classes", "whole_image": False, "outputs": ["L1", "L2"],
            "label_values": [1, 2], "channel_indices": [0]}
    model = {"format": "wholemount-model", "version": "1", "task": json.dumps(task),
             "config": '[data]\nroot = "d"\n[net]\nfilters = 4\n'}
    yield "model.safetensors", safetensors({"__metadata__": model, "a": two["a"]}, bytes(24))
    yield "model_of_300.safetensors", safetensors(
        {"__metadata__": model | {"task": json.dumps(task | {"label_values": [1, 300]})}}, b"")
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


def tiff(pages=1, samples=1, bits=16, compression=1, tile=False, order="<", description=b"",
         photometric=1, packed=lambda rows: rows):
    """A TIFF of 5 rows of 7 pixels in one strip, or one tile of 16 x 16, a page."""
    width, height = 7, 5
    stored = (16, 16) if tile else (height, width)
    text = b"II*\0" if order == "<" else b"MM\0*"
    out = bytearray(text + struct.pack(order + "I", 8))
    for page in range(pages):
        count = stored[0] * stored[1] * samples
        voxels = packed(struct.pack(order + f"{count}{'BH'[bits // 16]}",
                                    *[(page * 31 + i * 7) % 251 for i in range(count)]))
        tags = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples),
                (259, 3, [compression]), (262, 3, [photometric]), (277, 3, [samples])]
        if description and page == 0:
            tags.append((270, 2, list(description + b"\0")))
        if photometric == 3:
            tags.append((320, 3, [(i * 257) ^ (c * 4369) for c in range(3) for i in range(256)]))
        where = len(tags)
        tags += [(322, 3, [16]), (323, 3, [16]), (324, 4, [0]), (325, 4, [len(voxels)])] if tile \
            else [(273, 4, [0]), (278, 4, [height]), (279, 4, [len(voxels)])]
        data_tag = 324 if tile else 273
        tags.sort()
        start = len(out)
        extra = start + 2 + 12 * len(tags) + 4
        tail = b""
        entries = b""
        for tag, kind, values in tags:
            code = {2: "B", 3: "H", 4: "I"}[kind]
            body = struct.pack(order + f"{len(values)}{code}", *values)
            if tag == data_tag:
                body = b"DATA"
            elif len(body) > 4:
                tail += bytes(len(tail) % 2)
                place = extra + len(tail)
                tail += body
                body = struct.pack(order + "I", place)
            entries += struct.pack(order + "HHI", tag, kind, len(values)) + body.ljust(4, b"\0")
        place = extra + len(tail)
        entries = entries.replace(b"DATA", struct.pack(order + "I", place))
        end = place + len(voxels) + (place + len(voxels)) % 2
        out += struct.pack(order + "H", len(tags)) + entries
        out += struct.pack(order + "I", end if page + 1 < pages else 0) + tail + voxels
        out += bytes(end - len(out))
        assert where > 0
    return bytes(out)


def png(bits=8, colour=0, interlace=0):
    channels = {0: 1, 2: 3, 6: 4}[colour]
    def chunk(kind, body):
        return (struct.pack(">I", len(body)) + kind + body +
                struct.pack(">I", zlib.crc32(kind + body)))
    row = b"\0" + bytes(i % 256 for i in range(7 * channels * bits // 8))
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", 7, 5, bits, colour, 0, 0, interlace)) +
            chunk(b"IDAT", zlib.compress(row * 5)) + chunk(b"IEND", b""))


def packbits(content):
    return b"".join(bytes([len(content[i:i + 9]) - 1]) + content[i:i + 9]
                    for i in range(0, len(content), 9))


def picture_seeds():
    ome = (b'<OME><Image><Pixels DimensionOrder="XYCZT" SizeZ="2" SizeC="2" SizeT="1">'
           b'<TiffData IFD="0" PlaneCount="4"/></Pixels></Image></OME>')
    yield "u16.tif", tiff()
    yield "u8_big_endian.tif", tiff(bits=8, order=">")
    yield "rgb_tiled.tif", tiff(samples=3, tile=True, photometric=2)
    yield "deflate.tif", tiff(compression=8, packed=zlib.compress)
    yield "packbits.tif", tiff(compression=32773, packed=packbits)
    yield "palette.tif", tiff(bits=8, photometric=3)
    yield "ome.tif", tiff(pages=4, description=ome)
    yield "imagej.tif", tiff(pages=4, description=b"ImageJ=1.53\nimages=4\nchannels=2\nslices=2\n")
    yield "cut.tif", tiff()[:-20]
    yield "grey.png", png()
    yield "rgb16.png", png(16, 2)
    yield "cut.png", png(8, 6)[:-30]


SEEDS = {"nifti": nifti_seeds, "picture": picture_seeds, "dataset_json": dataset_seeds, "csv_manifest": csv_seeds,
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
