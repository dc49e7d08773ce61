#!/usr/bin/env python3
"""examples/bbbc021.toml, unchanged but for data.root, on BBBC021's own tables.

    tests/bbbc021_as_downloaded.py PROGRAM METADATA [WORK]

METADATA holds the real BBBC021_v1_image.csv and BBBC021_v1_moa.csv. Every one of the 39,600 images
the table names gets a file under its real name: links to fields of 1024x1280 drawn by `synth cells`,
one phenotype a treatment. Checked: what `info` finds, one update of 32 fields, its evaluation, and
that a missing image is named before anything starts."""

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FIELDS = 13_200
PARAMETERS = 42_577_261  # of 1024x1280x3 and 13 classes: twelve mechanisms and DMSO


def run(*arguments, exit_code=0):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if done.returncode != exit_code:
        sys.exit(f"{arguments}: exit {done.returncode}, wanted {exit_code}\n{done.stdout}{done.stderr}")
    return done


def expect(condition, message):
    if not condition:
        sys.exit(f"bbbc021_as_downloaded: {message}")


def link_fields(tables, drawn, root):
    """The drawn fields of each phenotype, linked under the names of the real table."""
    by_class = {}
    with open(drawn / "BBBC021_v1_image.csv", newline="") as file:
        for row in csv.DictReader(file):
            key = (row["Image_Metadata_Compound"], row["Image_Metadata_Concentration"])
            by_class.setdefault(key, []).append(row)
    phenotypes = [by_class[key] for key in sorted(by_class)]
    treatments = {}
    images = 0
    with open(tables / "BBBC021_v1_image.csv", newline="") as file:
        for index, row in enumerate(csv.DictReader(file)):
            key = (row["Image_Metadata_Compound"], row["Image_Metadata_Concentration"])
            mine = phenotypes[treatments.setdefault(key, len(treatments)) % len(phenotypes)]
            for channel in ("DAPI", "Tubulin", "Actin"):
                source = mine[index % len(mine)]
                target = root / row[f"Image_PathName_{channel}"] / row[f"Image_FileName_{channel}"]
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(
                    drawn / source[f"Image_PathName_{channel}"] / source[f"Image_FileName_{channel}"],
                    target)
                images += 1
    return images


def main():
    program, tables = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    config = Path(__file__).resolve().parent.parent / "examples" / "bbbc021.toml"
    with tempfile.TemporaryDirectory(dir=sys.argv[3] if len(sys.argv) > 3 else None) as folder:
        work = Path(folder)
        run(program, "synth", "cells", work / "drawn", "--images", 26, "--classes", 13, "--seed", 1)
        root = work / "BBBC021"
        root.mkdir()
        for table in ("BBBC021_v1_image.csv", "BBBC021_v1_moa.csv"):
            (root / table).write_bytes((tables / table).read_bytes())
        images = link_fields(tables, work / "drawn", root)
        expect(images == 3 * FIELDS, f"{images} images linked, wanted {3 * FIELDS}")

        info = json.loads(run(program, "info", root, "--json").stdout)
        print(json.dumps({k: v for k, v in info.items() if not isinstance(v, (list, dict))}))
        train = ["train", config, "--set", f"data.root={root}", "--max-steps", 1, "--no-report", "--json"]
        done = json.loads(run(program, *train, "--out", work / "run").stdout)
        print(json.dumps({k: v for k, v in done.items() if not isinstance(v, (list, dict))}))
        expect(done["steps"] == 1, "the update was not made")
        plan = json.loads((work / "run" / "plan.json").read_text())
        # Whole fields and thirteen classes, or the network would be another.
        expect(plan["parameters"] == PARAMETERS, f"{plan['parameters']} parameters")

        with open(root / "BBBC021_v1_moa.csv", newline="") as file:
            treated = {(r["compound"], float(r["concentration"])) for r in csv.DictReader(file)}
        with open(root / "BBBC021_v1_image.csv", newline="") as file:
            row = next(r for r in csv.DictReader(file)
                       if (r["Image_Metadata_Compound"], float(r["Image_Metadata_Concentration"])) in treated
                       and r["Image_Metadata_Compound"] not in ("DMSO", "taxol"))
        missing = root / row["Image_PathName_Actin"] / row["Image_FileName_Actin"]
        missing.unlink()
        refused = run(program, *train, "--out", work / "refused", exit_code=3)
        expect(missing.name in refused.stderr, f"{missing.name} not named: {refused.stderr}")
        expect(not (work / "refused" / "model.safetensors").exists(), "a model was written")
    print("bbbc021_as_downloaded: passed")


if __name__ == "__main__":
    main()
