#!/usr/bin/env python3
"""Compares what the program makes of NIfTI files with what nibabel does: every voxel (SHA-256 of
the float32 values), shape, spacing and affine; and the geometry of label maps it writes for them.

Usage: compare_with_nibabel.py PROGRAM DATA_FOLDER

Needs nibabel and numpy (python3 -m venv .venv && .venv/bin/pip install nibabel numpy). All .nii and
.nii.gz files below DATA_FOLDER are compared. Label maps are predictions of nets trained for one
update on two images of the folder, one net for each number of channels that has labelled images;
files with another number of channels are counted as not predicted.
"""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import nibabel
import numpy

FILES_AT_ONCE = 40
NET = ["--set", "net.filters=1", "--set", "net.levels=2", "--set", "train.batch=1", "--max-steps", "1"]


def run(arguments):
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(arguments[:4])} ...: exit {result.returncode}\n{result.stderr}")
    return result.stdout


def is_leftover(path):
    return path.name.startswith("._")


def described(program, paths):
    """What `info` says of each file, in the order given."""
    reports = []
    for first in range(0, len(paths), FILES_AT_ONCE):
        group = [str(path) for path in paths[first:first + FILES_AT_ONCE]]
        answer = json.loads(run([program, "info", "--json", *group]))
        reports += answer["files"] if len(group) > 1 else [answer]
    return reports


def channels_first(image):
    """The voxels as float32 [c, d, h, w], scaled in float64 and rounded once."""
    values = numpy.asanyarray(image.dataobj).astype(numpy.float64)
    if values.ndim == 3:
        values = values[..., numpy.newaxis]
    return numpy.ascontiguousarray(values.transpose(3, 2, 1, 0).astype("<f4"))


def read_differences(report, path):
    image = nibabel.load(path)
    values = channels_first(image)
    zooms = image.header.get_zooms()
    wanted = {
        "shape": list(values.shape[1:]),
        "channels": values.shape[0],
        "spacing_mm": [float(zoom) for zoom in zooms[2::-1]],
        "affine_mm": [[float(number) for number in row] for row in image.affine[:3]],
        "values_sha256": hashlib.sha256(values.tobytes()).hexdigest(),
    }
    return [f"{path}: {key}: nibabel {value}, the program {report.get(key)}"
            for key, value in wanted.items() if report.get(key) != value]


GEOMETRY_FIELDS = ["qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x",
                   "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units"]


def written_differences(output, source):
    written, read = nibabel.load(output), nibabel.load(source)
    differences = []
    if not numpy.array_equal(written.affine, read.affine):
        differences.append(f"{output}: affine {written.affine.tolist()}, of {source} "
                           f"{read.affine.tolist()}")
    if written.shape != read.shape[:3]:
        differences.append(f"{output}: shape {written.shape}, of {source} {read.shape}")
    ours, theirs = written.header.as_byteswapped("<"), read.header.as_byteswapped("<")
    for field in GEOMETRY_FIELDS:
        # As bytes: also the signs of zeros.
        if ours[field].tobytes() != theirs[field].tobytes():
            differences.append(f"{output}: {field} differs from that of {source}")
    if ours["pixdim"][:4].tobytes() != theirs["pixdim"][:4].tobytes():
        differences.append(f"{output}: pixdim differs from that of {source}")
    numpy.asanyarray(written.dataobj)
    return differences


def labelled_pairs(paths):
    """{channels: [(image, label), (image, label)]} of images in imagesTr with a label map."""
    pairs = {}
    for path in paths:
        label = path.parent.parent / "labelsTr" / path.name
        if path.parent.name != "imagesTr" or not label.is_file():
            continue
        shape = nibabel.load(path).shape
        known = pairs.setdefault(shape[3] if len(shape) > 3 else 1, [])
        if len(known) < 2:
            known.append((path, label))
    return {channels: known for channels, known in pairs.items() if len(known) == 2}


def predicted(program, pairs, channels, images, work):
    """Trains on the pairs, predicts the images; yields (output, input)."""
    manifest = work / f"{channels}.csv"
    manifest.write_text("image,label\n" + "".join(f"{i},{l}\n" for i, l in pairs))
    config = work / f"{channels}.toml"
    config.write_text(f'[data]\nroot = "{manifest}"\ntarget = "foreground"\n'
                      "split = { seed = 1, train = 1.0, validation = 0.0, test = 0.0 }\n")
    model = work / f"run{channels}"
    run([program, "train", str(config), "--out", str(model), *NET])
    # Files of one name from several folders must not replace each other.
    for number, image in enumerate(images):
        out = work / f"out{channels}" / str(number)
        answer = json.loads(run([program, "predict", str(model), str(image), "--out", str(out),
                                 "--json"]))
        yield answer["cases"][0]["output"], image


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    program, root = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    paths = sorted(path for pattern in ("*.nii", "*.nii.gz") for path in root.rglob(pattern)
                   if not is_leftover(path))
    if not paths:
        print(f"{root}: no NIfTI files", file=sys.stderr)
        return 2
    differences = []
    by_channels = {}
    for path, report in zip(paths, described(program, paths)):
        differences += read_differences(report, path)
        by_channels.setdefault(report["channels"], []).append(path)
    print(f"read: {len(paths)} files, {len(differences)} differences")
    written = 0
    with tempfile.TemporaryDirectory() as folder:
        for channels, pairs in labelled_pairs(paths).items():
            images = by_channels.pop(channels)
            # Label maps and the many alike images of one data set add nothing after a dozen.
            chosen = {path for path in images if path.parent.name not in ("imagesTr", "labelsTr")}
            chosen.update([path for path in images if path.parent.name == "imagesTr"][:12])
            for output, image in predicted(program, pairs, channels, sorted(chosen),
                                           pathlib.Path(folder)):
                differences += written_differences(output, image)
                written += 1
    left_out = sum(len(images) for images in by_channels.values())
    print(f"written: {written} label maps compared; {left_out} files have a number of channels no "
          "labelled image has")
    for difference in differences:
        print(difference)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
