#!/usr/bin/env python3
"""Predicted beside measured: peak memory and seconds of training updates of many jobs.

    bench/prediction.py --work /scratch/prediction                 run all that is not done yet
    bench/prediction.py --work /scratch/prediction --only f16-48   configurations whose name has this
    bench/prediction.py --work /scratch/prediction --rounds 3      each so often, interleaved
    bench/prediction.py --work /scratch/prediction --write         tables and pictures from what is there
    bench/prediction.py --list                                     names and settings

Every configuration is a process of its own: `wholemount train --max-steps N` on phantoms, from the
reading of the data to the checkpoint; peak memory is VmHWM of the whole process, seconds are the
median update. Results are appended to WORK/results.jsonl, so that a run can be stopped and taken up
again; WORK wants to be on a local disk with 20 GB free, for that is where values are spilled.
--write makes docs/images/prediction.svg (and .png where a converter is found),
docs/images/prediction.csv and the table between the markers in docs/memory.md.
Run `wholemount calibrate --disk WORK` before it, and nothing beside it.
"""

import argparse
import csv
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MIB = 1 << 20
PHANTOM_CASES = 10  # 7 for training: enough for a batch of 4
FIELDS = 80
BEGIN, END = "<!-- prediction: begin -->", "<!-- prediction: end -->"

SHAPES = {"48": "[48,48,48]", "96": "[96,96,96]", "144": "[144,240,240]"}


def unet(filters, shape, norm="instance", batch=1, budget=None, spill=True):
    """budget: None (all that is there), "floor", a size, or a part of the way from the floor up."""
    # The first update touches memory and file for the first time, and an epoch's last one may hold
    # fewer samples: the median of a few short ones is none of these.
    steps = 7 if shape == "48" else 3
    name = f"f{filters}-{shape}-{norm}-b{batch}"
    if budget is not None:
        name += "-" + (f"{round(100 * budget)}pc" if isinstance(budget, float) else budget)
        name += "" if spill else "-nospill"
    settings = [f"net.filters={filters}", f"data.shape={SHAPES[shape]}", f"net.norm={norm}",
                f"train.batch={batch}"]
    return {"name": name, "kind": "unet3d", "settings": settings, "budget": budget,
            "spill": spill and budget is not None, "steps": steps}


def mcnn(batch, budget=None):
    name = f"mcnn-b{batch}" + ("" if budget is None else
                               "-" + (f"{round(100 * budget)}pc" if isinstance(budget, float)
                                      else budget))
    # As above: updates of 8 fields are short ones.
    return {"name": name, "kind": "mcnn", "settings": [f"train.batch={batch}"], "budget": budget,
            "spill": budget is not None, "steps": 7 if batch < 32 else 3}


def configurations():
    jobs = []
    for filters in (16, 32, 64):
        for shape in ("48", "96"):
            jobs.append(unet(filters, shape))
            jobs.append(unet(filters, shape, "batch", 2))
            jobs.append(unet(filters, shape, "instance", 4))
            jobs.append(unet(filters, shape, budget="floor"))
            jobs.append(unet(filters, shape, "batch", 4, budget=0.5))
    for budget in ("3500M", "2500M", "1500M", "1G", "600M", "floor"):
        jobs.append(unet(16, "144", budget=budget))
    jobs.append(unet(16, "144"))
    jobs.append(unet(16, "144", budget=0.5, spill=False))
    jobs.append(unet(16, "144", budget="floor", spill=False))
    jobs.append(unet(16, "144", "batch", 2))
    jobs.append(unet(16, "144", "batch", 2, budget="4G"))
    jobs.append(unet(16, "144", "batch", 4, budget="4G"))
    jobs.append(unet(32, "144"))
    jobs.append(unet(32, "144", budget="6G"))
    jobs.append(unet(32, "144", budget="3G"))
    jobs.append(unet(64, "144"))
    jobs.append(unet(64, "144", budget="8G"))
    jobs += [mcnn(8), mcnn(32), mcnn(8, 0.5), mcnn(8, "floor")]
    return jobs


class Runner:
    def __init__(self, options):
        self.binary = options.binary
        self.work = os.path.abspath(options.work)
        self.threads = options.threads
        self.results = os.path.join(self.work, "results.jsonl")
        os.makedirs(os.path.join(self.work, "spill"), exist_ok=True)

    def call(self, arguments, allowed=(0,)):
        done = subprocess.run([self.binary] + arguments, capture_output=True, text=True)
        if done.returncode not in allowed:
            raise RuntimeError(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout

    def data(self, kind):
        folder = os.path.join(self.work, "brains" if kind == "unet3d" else "cells")
        if not os.path.isdir(folder):
            part = folder + ".part"
            shutil.rmtree(part, ignore_errors=True)
            if kind == "unet3d":
                self.call(["synth", "brain", part, "--cases", str(PHANTOM_CASES),
                           "--shape", "48x64x64", "--seed", "1"])
            else:
                self.call(["synth", "cells", part, "--images", str(FIELDS), "--shape", "512x640",
                           "--classes", "4", "--seed", "1"])
            os.rename(part, folder)
        return folder

    def arguments(self, job):
        example = "unet_whole_volume.toml" if job["kind"] == "unet3d" else "bbbc021.toml"
        settings = [f"data.root={self.data(job['kind'])}"] + job["settings"]
        if job["kind"] == "unet3d":
            settings.append("data.split={seed=1,train=0.7,validation=0.1,test=0.2}")
        if job["spill"]:
            settings.append(f"memory.spill={os.path.join(self.work, 'spill')}")
        arguments = [os.path.join(ROOT, "examples", example), "--threads", str(self.threads)]
        for setting in settings:
            arguments += ["--set", setting]
        return arguments

    def planned_peak(self, job, budget):
        text = self.call(["plan"] + self.arguments(job) + ["--memory", budget, "--json"], (0, 4))
        return json.loads(text)["peak_bytes"]

    def budget(self, job):
        wanted = job["budget"]
        if wanted is None:
            return []
        if wanted == "floor" or isinstance(wanted, float):
            bytes_ = self.planned_peak(job, "1M") + 2 * MIB
            if isinstance(wanted, float):
                bytes_ += wanted * (self.planned_peak(job, "1000G") - bytes_)
            wanted = str(int(bytes_) // MIB * MIB)
        return ["--memory", wanted]

    def run(self, job, round_):
        folder = os.path.join(self.work, "run")
        shutil.rmtree(folder, ignore_errors=True)
        begin = time.time()
        budget = self.budget(job)
        text = self.call(["train"] + self.arguments(job) + budget +
                         ["--max-steps", str(job["steps"]), "--no-report", "--json",
                          "--out", folder])
        result = json.loads(text)
        row = {"name": job["name"], "round": round_, "steps": job["steps"],
               "budget_bytes": parse_budget(budget[1]) if budget else None,
               "spilled": job["spill"]}
        for key in ("predicted_peak_bytes", "measured_peak_bytes", "predicted_step_seconds",
                    "measured_step_seconds", "weights_digest"):
            row[key] = result[key]
        row["process_seconds"] = round(time.time() - begin, 2)
        with open(self.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        return row


def parse_budget(text):
    for suffix, factor in (("M", MIB), ("G", 1 << 30)):
        if text.endswith(suffix):
            return int(text[:-1]) * factor
    return int(text)


def read_rows(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def summarise(rows):
    """One entry a configuration: the peak of the last round, medians of the seconds."""
    by_name = {}
    for row in rows:
        by_name.setdefault(row["name"], []).append(row)
    order = {job["name"]: i for i, job in enumerate(configurations())}
    entries = []
    for name, group in by_name.items():
        last = group[-1]
        seconds = statistics.median(row["measured_step_seconds"] for row in group)
        predicted = statistics.median(row["predicted_step_seconds"] for row in group)
        entries.append({
            "name": name, "rounds": len(group), "spilled": last["spilled"],
            "budget_bytes": last["budget_bytes"],
            "predicted_peak_bytes": last["predicted_peak_bytes"],
            "measured_peak_bytes": last["measured_peak_bytes"],
            "memory_error": last["predicted_peak_bytes"] / last["measured_peak_bytes"] - 1,
            "predicted_step_seconds": predicted, "measured_step_seconds": seconds,
            "time_error": predicted / seconds - 1})
    return sorted(entries, key=lambda entry: order.get(entry["name"], len(order)))


def describe(errors):
    sizes = [abs(error) for error in errors]
    return f"median {100 * statistics.median(sizes):.1f} %, worst {100 * max(sizes):.1f} %"


def table(entries):
    lines = [f"{len(entries)} jobs, predicted against measured: peak memory "
             f"{describe([e['memory_error'] for e in entries])}; seconds of an update "
             f"{describe([e['time_error'] for e in entries])} (`bench/prediction.py`, "
             f"`docs/images/prediction.csv`).", "",
             "![Errors of the predicted peak and of the predicted seconds over the measured ones]"
             "(images/prediction.svg)", "",
             "| job | budget MiB | peak MiB | predicted off by | update s | predicted off by |",
             "|---|---|---|---|---|---|"]
    for e in entries:
        budget = "" if e["budget_bytes"] is None else f"{e['budget_bytes'] / MIB:.0f}"
        lines.append(
            f"| {e['name']} | {budget} | {e['measured_peak_bytes'] / MIB:.0f} "
            f"| {100 * e['memory_error']:+.1f} % | {e['measured_step_seconds']:.3g} "
            f"| {100 * e['time_error']:+.0f} % |")
    return "\n".join(lines) + "\n"


class Panel:
    """Errors in per cent over a measured quantity, on a logarithmic axis."""

    WIDTH, HEIGHT = 430, 300

    def __init__(self, left, title, x_label, band):
        self.left, self.title, self.x_label, self.band = left, title, x_label, band

    def draw(self, points, ticks):
        xs = [math.log10(x) for x, _, _ in points]
        low, high = min(xs) - 0.1, max(xs) + 0.1
        limit = max(self.band * 1.5, 1.15 * max(abs(y) for _, y, _ in points))
        def at(x, y):
            return (self.left + (math.log10(x) - low) / (high - low) * self.WIDTH,
                    60 + (1 - y / limit) * self.HEIGHT / 2)
        top, bottom = at(points[0][0], self.band)[1], at(points[0][0], -self.band)[1]
        parts = [f'<rect x="{self.left}" y="{top:.1f}" width="{self.WIDTH}" '
                 f'height="{bottom - top:.1f}" fill="#e8efe8"/>',
                 f'<rect x="{self.left}" y="60" width="{self.WIDTH}" height="{self.HEIGHT}" '
                 'fill="none" stroke="#888"/>',
                 f'<line x1="{self.left}" x2="{self.left + self.WIDTH}" y1="210" y2="210" '
                 'stroke="#888"/>',
                 f'<text x="{self.left}" y="46" font-size="14">{self.title}</text>',
                 f'<text x="{self.left + self.WIDTH / 2}" y="398" text-anchor="middle">'
                 f'{self.x_label}</text>']
        for x, text in ticks:
            if low <= math.log10(x) <= high:
                px = at(x, 0)[0]
                parts.append(f'<line x1="{px:.1f}" x2="{px:.1f}" y1="360" y2="364" stroke="#888"/>'
                             f'<text x="{px:.1f}" y="378" text-anchor="middle">{text}</text>')
        for y in (-self.band, 0, self.band):
            parts.append(f'<text x="{self.left - 6}" y="{at(points[0][0], y)[1] + 4:.1f}" '
                         f'text-anchor="end">{y:+g} %</text>' if y else
                         f'<text x="{self.left - 6}" y="214" text-anchor="end">0</text>')
        for x, y, spilled in points:
            px, py = at(x, y)
            colour = "#c2571a" if spilled else "#1f5fa8"
            parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" fill="{colour}" '
                         'fill-opacity="0.75"/>')
        return parts


def scatter(entries):
    memory = Panel(70, "peak memory: predicted / measured - 1", "measured peak of the process", 2)
    seconds = Panel(590, "seconds: predicted / measured - 1", "measured seconds of an update", 15)
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="1050" height="430" '
             'font-family="sans-serif" font-size="12">', '<rect width="1050" height="430" '
             'fill="white"/>']
    parts += memory.draw([(e["measured_peak_bytes"], 100 * e["memory_error"], e["spilled"])
                          for e in entries],
                         [(2 ** i * MIB, f"{2 ** i} MiB" if i < 10 else f"{2 ** (i - 10)} GiB")
                          for i in range(5, 16)])
    parts += seconds.draw([(e["measured_step_seconds"], 100 * e["time_error"], e["spilled"])
                           for e in entries],
                          [(10.0 ** i, f"{10.0 ** i:g} s") for i in range(-3, 4)])
    parts += ['<circle cx="76" cy="416" r="4" fill="#1f5fa8"/><text x="86" y="420">all in memory'
              '</text><circle cx="196" cy="416" r="4" fill="#c2571a"/><text x="206" y="420">'
              'under a budget, values spilled or recomputed</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def to_png(svg, png):
    """Where chromium or ImageMagick is there; the SVG is what counts."""
    if browser := shutil.which("chromium"):
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   "--window-size=1050,430", f"--screenshot={png}", "file://" + svg]
    elif convert := shutil.which("convert"):
        command = [convert, svg, png]
    else:
        print("no chromium and no ImageMagick: no PNG", file=sys.stderr)
        return
    subprocess.run(command, capture_output=True, timeout=120, check=False)


def write_results(rows):
    entries = summarise(rows)
    if not entries:
        sys.exit("nothing measured yet")
    images = os.path.join(ROOT, "docs", "images")
    svg = os.path.join(images, "prediction.svg")
    with open(svg, "w", encoding="utf-8") as file:
        file.write(scatter(entries))
    to_png(svg, os.path.join(images, "prediction.png"))
    with open(os.path.join(images, "prediction.csv"), "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(entries[0]))
        writer.writeheader()
        writer.writerows(entries)
    document = os.path.join(ROOT, "docs", "memory.md")
    with open(document, encoding="utf-8") as file:
        text = file.read()
    if BEGIN not in text:
        text += f"\n## Predicted and measured\n\n{BEGIN}\n{END}\n"
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    with open(document, "w", encoding="utf-8") as file:
        file.write(f"{head}{BEGIN}\n{table(entries)}{END}{tail}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default=os.path.join(ROOT, "build", "prediction"))
    parser.add_argument("--binary", default=os.path.join(ROOT, "build", "release", "wholemount"))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], help="repeatable; any of them")
    parser.add_argument("--skip", action="append", default=[], help="repeatable; none of them")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    jobs = [job for job in configurations()
            if (not options.only or any(text in job["name"] for text in options.only))
            and not any(text in job["name"] for text in options.skip)]
    if options.list:
        for job in jobs:
            print(job["name"], *job["settings"], "" if job["budget"] is None else job["budget"])
        return
    runner = Runner(options)
    if options.write:
        write_results(read_rows(runner.results))
        return
    done = {(row["name"], row["round"]) for row in read_rows(runner.results)}
    failed = 0
    for round_ in range(options.rounds):
        for job in jobs:
            if (job["name"], round_) in done:
                continue
            try:
                row = runner.run(job, round_)
            except RuntimeError as error:
                failed += 1
                print(f"{job['name']:34s} failed: {error}", file=sys.stderr)
                continue
            print(f"{row['name']:34s} peak {row['measured_peak_bytes'] / MIB:9.1f} MiB "
                  f"{100 * (row['predicted_peak_bytes'] / row['measured_peak_bytes'] - 1):+5.1f} %"
                  f"   update {row['measured_step_seconds']:8.3f} s "
                  f"{100 * (row['predicted_step_seconds'] / row['measured_step_seconds'] - 1):+5.0f} %"
                  f"   (process {row['process_seconds']:.0f} s)", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
