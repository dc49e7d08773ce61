#!/usr/bin/env python3
"""Compares how Wholemount and tifffile read TIFF files, voxel by voxel (by digest).

usage: tiff_against_tifffile.py PROGRAM FOLDER...

Every TIFF below the folders is read by `PROGRAM info --json`, and then a set of files of many forms
that tifffile writes itself. Needs Python with tifffile, imagecodecs and numpy in an environment of
its own; not part of the quick tests. Exit 1 and a list when a file differs.
"""
import hashlib
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import tifffile


def expected(path):
    """All values as [c, d, h, w]: palettes applied, samples of a pixel after the pages' channels."""
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        page = series.pages[0]
        values = series.asarray()
        axes = series.axes
        if page.photometric == 3:  # palette
            colours = page.colormap.astype(numpy.uint32)
            if values.dtype == numpy.uint8:
                colours = colours if colours.max() < 256 else colours >> 8
            grey = (colours[0] == colours[1]).all() and (colours[1] == colours[2]).all()
            values = colours[0][values] if grey else numpy.stack([c[values] for c in colours], -1)
            axes = axes if grey else axes + "S"
    for axis in "ITQ":  # pages without a description are planes
        axes = axes.replace(axis, "Z")
    for axis in "CSZ":
        if axis not in axes:
            values, axes = values[numpy.newaxis], axis + axes
    values = numpy.transpose(values, [axes.index(a) for a in "CSZYX"])
    values = values.reshape(-1, *values.shape[2:])
    return list(values.shape), hashlib.sha256(values.astype("<f4").tobytes()).hexdigest()


def found(program, path):
    run = subprocess.run([program, "info", "--json", str(path)], capture_output=True, text=True)
    if run.returncode != 0:
        return None, run.stderr.strip()
    info = json.loads(run.stdout)
    return [info["channels"]] + info["shape"], info["values_sha256"]


def written(folder):
    """Files of every form: type, byte order, compression, strips and tiles, arrangement, axes."""
    draw = numpy.random.default_rng(7)
    forms = itertools.product(
        ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"], "<>", [None, "lzw", "zlib", "packbits"],
        [None, (16, 32)], ["YX", "YXS", "SYX", "ZYX", "CYX", "ZCYX"], [False, True])
    for i, (kind, order, compression, tile, axes, big) in enumerate(forms):
        if i % 7:  # one in seven covers every pair of settings
            continue
        sizes = {"Y": 45, "X": 71, "S": 3, "Z": 4, "C": 2}
        values = draw.integers(0, 100, [sizes[a] for a in axes]).astype(kind)
        path = pathlib.Path(folder) / f"{i}.ome.tif"
        ome = "Z" in axes or "C" in axes
        tifffile.imwrite(
            path if ome else path.with_name(f"{i}.tif"), values, byteorder=order, bigtiff=big,
            compression=compression, tile=tile, rowsperstrip=None if tile else 16, ome=ome,
            metadata={"axes": axes} if ome else None,
            photometric="rgb" if "S" in axes else "minisblack",
            planarconfig={"YXS": "contig", "SYX": "separate"}.get(axes))
        yield path if ome else path.with_name(f"{i}.tif")


def main():
    program, folders = sys.argv[1], sys.argv[2:]
    different = 0
    for title, paths in [
            ("real", [p for f in folders for p in sorted(pathlib.Path(f).rglob("*"))
                      if p.suffix.lower() in (".tif", ".tiff")]), ("written", None)]:
        with tempfile.TemporaryDirectory() as folder:
            count = 0
            for path in paths if paths is not None else written(folder):
                count += 1
                wanted, got = expected(path), found(program, path)
                if tuple(wanted) != tuple(got):
                    different += 1
                    print(f"{path}: wanted {wanted}, found {got}")
            print(f"{count} {title} files compared")
    print("all equal" if different == 0 else f"{different} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
