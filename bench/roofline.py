#!/usr/bin/env python3
"""Prints a roofline page (docs/roofline.md) from `wholemount bench step CONFIG --json`.

Usage: ./run bench step CONFIG --json | bench/roofline.py "COMMAND". For each kind of kernel: operations
and bytes by definition, measured time, the shortest time the machine allows (the longer of operations
over the multiply-add peak and bytes over the copy rate), and their ratio. Winograd needs fewer
multiplications than the definition, so its ratio may exceed 1.
"""

import json
import sys


def main():
    step = json.load(sys.stdin)
    peak = step["machine_peak_gflops"] * 1e9
    copy = step["copy_bytes_per_second"]
    total = sum(node["seconds"] for node in step["nodes"])
    kinds = {}
    for node in step["nodes"]:
        kind = kinds.setdefault(node["kernel"], [0, 0.0, 0.0, 0.0, 0.0])
        kind[0] += 1
        kind[1] += node["flops"]
        kind[2] += node["bytes"]
        kind[3] += node["seconds"]
        kind[4] += max(node["flops"] / peak, node["bytes"] / copy)
    print(f"`{sys.argv[1] if len(sys.argv) > 1 else 'wholemount bench step'}`: "
          f"step {step['step_seconds']:.3f} s, {step['gflops']:.0f} GFLOPS effective, multiply-add "
          f"peak {peak / 1e9:.0f} GFLOPS, copy {copy / 1e9:.1f} GB/s, threads idle "
          f"{100 * step['idle_share']:.1f} %.\n")
    print("| kernel | nodes | GFLOP | GB | ms | share | limit ms | limit / time |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, (count, flops, size, seconds, limit) in sorted(
            kinds.items(), key=lambda item: -item[1][3]):
        print(f"| {name} | {count} | {flops / 1e9:.1f} | {size / 1e9:.2f} | {seconds * 1e3:.1f} "
              f"| {100 * seconds / total:.1f} % | {limit * 1e3:.1f} "
              f"| {limit / seconds if seconds else 0:.2f} |")
    left = sorted(step["nodes"], key=lambda node: -(
        node["seconds"] - max(node["flops"] / peak, node["bytes"] / copy)))[:12]
    print("\nThe nodes furthest from their limit:\n")
    print("| node | kernel | ms | limit ms |")
    print("|---|---|---:|---:|")
    for node in left:
        limit = max(node["flops"] / peak, node["bytes"] / copy)
        print(f"| {node['node']} | {node['kernel']} | {node['seconds'] * 1e3:.1f} "
              f"| {limit * 1e3:.1f} |")


if __name__ == "__main__":
    main()
