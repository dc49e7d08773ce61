#!/usr/bin/env python3
"""Writes docs/roofline.md and docs/images/roofline_*.svg: each node of a training step between what
the machine's multiply-adds and its memory allow. Standard library only.

Usage: bench/roofline.py OUT_FOLDER NAME=STEP.json... , STEP.json from
`wholemount bench step CONFIG --json`; ./run bench roofline measures the documented steps and calls
this. ROOFLINE_NOTE in the environment is printed above the figures. For each node: operations and bytes by definition, measured time, and the shortest time the
machine allows: the longer of operations over the multiply-add peak and bytes over the rate of a copy.
Winograd needs fewer multiplications than the definition counts, so its limit / time may exceed 1.
"""

import html
import json
import math
import os
import pathlib
import re
import sys

FAMILIES = [  # prefix of the kernel's name, what the page calls it, colour
    ("conv_transpose", "transposed convolution", "#8c564b"),
    ("conv", "convolution", "#1f77b4"),
    ("norm", "norm", "#d62728"),
    ("max_pool", "pooling", "#2ca02c"),
    ("segmentation", "loss", "#9467bd"),
    ("", "other", "#7f7f7f"),
]


def family(kernel):
    return next(entry for entry in FAMILIES if kernel.startswith(entry[0]))


class Step:
    """One measured step; rates in operations and bytes a second."""

    def __init__(self, name, path):
        self.name = name
        self.data = json.loads(pathlib.Path(path).read_text())
        self.peak = self.data["machine_peak_gflops"] * 1e9
        self.copy = self.data["copy_bytes_per_second"]
        self.nodes = [node for node in self.data["nodes"] if node["seconds"] > 0]
        self.seconds = sum(node["seconds"] for node in self.nodes)

    def limit(self, node):
        return max(node["flops"] / self.peak, node["bytes"] / self.copy)

    def bound(self, node):
        return "peak" if node["flops"] / self.peak > node["bytes"] / self.copy else "copy"

    def kinds(self):
        """Rows [kernel, nodes, flops, bytes, seconds, limit], longest first."""
        rows = {}
        for node in self.nodes:
            row = rows.setdefault(node["kernel"], [node["kernel"], 0, 0.0, 0.0, 0.0, 0.0])
            for i, value in enumerate([1, node["flops"], node["bytes"], node["seconds"],
                                       self.limit(node)]):
                row[i + 1] += value
        return sorted(rows.values(), key=lambda row: -row[4])


def picture(step):
    """A log-log roofline: a circle for each node, as large as its share of the step."""
    width, height, left, bottom, top, right = 860, 520, 70, 60, 30, 20
    points = [(node["flops"] / node["bytes"], node["flops"] / node["seconds"], node)
              for node in step.nodes if node["flops"] > 0 and node["bytes"] > 0]
    x_low = 10 ** math.floor(math.log10(min(p[0] for p in points)))
    x_high = 10 ** math.ceil(math.log10(max(p[0] for p in points)))
    fastest = max(step.peak, max(p[1] for p in points))
    y_low = 10 ** math.floor(math.log10(max(min(p[1] for p in points), 1e8)))
    y_high = 10 ** math.ceil(math.log10(fastest))

    def x_of(value):
        share = math.log10(value / x_low) / math.log10(x_high / x_low)
        return left + share * (width - left - right)

    def y_of(value):
        share = math.log10(max(value, y_low) / y_low) / math.log10(y_high / y_low)
        return height - bottom - share * (height - bottom - top)

    def line(x1, y1, x2, y2, style):
        return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'

    def text(x, y, words, style=""):
        return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{html.escape(words)}</text>'

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/>']
    grid = 'stroke="#e0e0e0"'
    for exponent in range(round(math.log10(x_low)), round(math.log10(x_high)) + 1):
        x = x_of(10.0 ** exponent)
        out += [line(x, top, x, height - bottom, grid),
                text(x, height - bottom + 18, f"{10.0 ** exponent:g}", 'text-anchor="middle"')]
    for exponent in range(round(math.log10(y_low)), round(math.log10(y_high)) + 1):
        y = y_of(10.0 ** exponent)
        out += [line(left, y, width - right, y, grid),
                text(left - 6, y + 4, f"{10.0 ** (exponent - 9):g}", 'text-anchor="end"')]
    out += [text((left + width) / 2, height - 18, "operations a byte (definition)",
                 'text-anchor="middle"'),
            text(16, height / 2, "GFLOPS", f'transform="rotate(-90 16 {height / 2:.0f})" '
                 'text-anchor="middle"')]
    ridge = step.peak / step.copy
    roof = 'stroke="black" stroke-width="2"'
    start = max(x_low, y_low / step.copy)
    out += [line(x_of(start), y_of(start * step.copy), x_of(ridge), y_of(step.peak), roof),
            line(x_of(ridge), y_of(step.peak), width - right, y_of(step.peak), roof),
            text(width - right - 4, y_of(step.peak) - 6,
                 f"multiply-add peak {step.peak / 1e9:.0f} GFLOPS", 'text-anchor="end"'),
            text(x_of(start) + 10, y_of(start * step.copy) - 14,
                 f"copy {step.copy / 1e9:.1f} GB/s")]
    for intensity, rate, node in sorted(points, key=lambda p: -p[2]["seconds"]):
        radius = max(2.5, 60 * math.sqrt(node["seconds"] / step.seconds / math.pi))
        title = (f'{node["node"]}: {node["kernel"]}, {node["seconds"] * 1e3:.1f} ms, '
                 f'{rate / 1e9:.0f} GFLOPS, {node["bytes"] / node["seconds"] / 1e9:.1f} GB/s')
        out.append(f'<circle cx="{x_of(intensity):.1f}" cy="{y_of(rate):.1f}" r="{radius:.1f}" '
                   f'fill="{family(node["kernel"])[2]}" fill-opacity="0.45" '
                   f'stroke="{family(node["kernel"])[2]}"><title>{html.escape(title)}</title>'
                   '</circle>')
    present = {family(p[2]["kernel"]) for p in points}
    for i, entry in enumerate(e for e in FAMILIES if e in present):
        y = height - bottom - 16 - 18 * i
        out += [f'<circle cx="{width - right - 160}" cy="{y - 4}" r="6" fill="{entry[2]}" '
                'fill-opacity="0.6"/>', text(width - right - 148, y, entry[1])]
    out.append("</svg>")
    return "\n".join(out) + "\n"


def finish_of(step):
    """What an update does once, beside its nodes."""
    seconds = step.data["finish_seconds"]
    if seconds < 1e-4:
        return []
    return [f"Once an update, {seconds * 1e3:.0f} ms: the dense layers' gradients from the factors that "
            "each field left.", ""]


def section(step, image):
    data = step.data
    lines = [f"## {step.name}", "",
             f"Step {data['step_seconds']:.3f} s, forward {data['forward_seconds']:.3f} s, "
             f"{data['gflops']:.0f} GFLOPS effective, multiply-add peak {step.peak / 1e9:.0f} GFLOPS, "
             f"copy {step.copy / 1e9:.1f} GB/s, threads idle {100 * data['idle_share']:.1f} %.",
             "", f"![Roofline of {step.name}](images/{image})", ""]
    lines += ["| kernel | nodes | GFLOP | GB | ms | share | GFLOPS | GB/s | limit ms | limit / time |",
              "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"]
    kinds = step.kinds()
    for name, count, flops, size, seconds, limit in kinds:
        if seconds < 5e-4 * step.seconds:
            continue
        lines.append(f"| {name} | {count} | {flops / 1e9:.1f} | {size / 1e9:.2f} "
                     f"| {seconds * 1e3:.1f} | {100 * seconds / step.seconds:.1f} % "
                     f"| {flops / seconds / 1e9:.0f} | {size / seconds / 1e9:.1f} "
                     f"| {limit * 1e3:.1f} | {limit / seconds:.2f} |")
    rest = [row for row in kinds if row[4] < 5e-4 * step.seconds]
    if rest:
        lines.append(f"| {len(rest)} others | {sum(row[1] for row in rest)} | | "
                     f"| {sum(row[4] for row in rest) * 1e3:.1f} "
                     f"| {100 * sum(row[4] for row in rest) / step.seconds:.1f} % | | | | |")
    total_limit = sum(step.limit(node) for node in step.nodes)
    outside = sum(node["seconds"] for node in step.nodes if not node["kernel"].startswith("conv"))
    lines += [f"| all | {len(step.nodes)} | {sum(n['flops'] for n in step.nodes) / 1e9:.1f} "
              f"| {sum(n['bytes'] for n in step.nodes) / 1e9:.2f} | {step.seconds * 1e3:.1f} | 100 % "
              f"| {sum(n['flops'] for n in step.nodes) / step.seconds / 1e9:.0f} "
              f"| {sum(n['bytes'] for n in step.nodes) / step.seconds / 1e9:.1f} "
              f"| {total_limit * 1e3:.1f} | {total_limit / step.seconds:.2f} |", "",
              f"Outside convolutions: {100 * outside / step.seconds:.1f} % of the step.", "",
              *finish_of(step),
              "What is left: the nodes that lose most against their limit.", "",
              "| node | kernel | GFLOP | GB | ms | limit ms | bound by |",
              "|---|---|---:|---:|---:|---:|---|"]
    lost = sorted(step.nodes, key=lambda node: step.limit(node) - node["seconds"])[:12]
    for node in lost:
        if node["seconds"] <= step.limit(node):
            continue
        lines.append(f"| {node['node']} | {node['kernel']} | {node['flops'] / 1e9:.2f} "
                     f"| {node['bytes'] / 1e9:.3f} | {node['seconds'] * 1e3:.2f} "
                     f"| {step.limit(node) * 1e3:.2f} | {step.bound(node)} |")
    return lines + [""]


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = ["# Roofline", "",
             "Every node of a training step between what the machine's multiply-adds and its memory "
             "allow. Written by `./run bench roofline`, which measures with `wholemount bench step "
             "--json`; figures are medians over the rounds.", "",
             "A limit is the longer of operations (by the definition of the operator) over the "
             "multiply-add peak and bytes (each operand once) over the rate of a copy, both measured "
             "in the same run. Winograd kernels do fewer multiplications than the definition counts, "
             "so they may lie above the roof; kernels that read more than they write, or write in "
             "place, may beat a copy, whose destination is fetched before it is written. In the "
             "pictures a circle is a node, as large as its share of the step.", ""]
    if os.environ.get("ROOFLINE_NOTE"):
        lines += [f"**{os.environ['ROOFLINE_NOTE']}**", ""]
    for argument in sys.argv[2:]:
        name, _, path = argument.rpartition("=")
        step = Step(name, path)
        image = "roofline_" + re.sub(r"[^a-z0-9]+", "_", name.lower()) + ".svg"
        (folder / "images" / image).write_text(picture(step))
        lines += section(step, image)
    (folder / "roofline.md").write_text("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
