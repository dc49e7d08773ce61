#!/usr/bin/env python3
"""Time-to-train over several seeds, in the manner of MLPerf (this is no MLPerf result).

usage: time_to_train.py PROGRAM CONFIG OUT --seeds 1,2,3 [train arguments...]

CONFIG sets train.target. Each seed is trained in OUT/seed-N, one after the other; the clock runs from
the first touch of the data set to the evaluation that reaches the target. The result is the olympic
mean: the fastest and the slowest run are left out where there are three or more. Runs that did not
reach the target are reported, and count as the slowest; with more than one of them there is no mean.
Prints a table and writes OUT/time_to_train.json.
"""
import json
import pathlib
import subprocess
import sys


def main():
    arguments = sys.argv[1:]
    seeds = [int(s) for s in arguments[arguments.index("--seeds") + 1].split(",")]
    at = arguments.index("--seeds")
    program, config, out = arguments[:at]
    more = arguments[at + 2:]
    runs = []
    for seed in seeds:
        folder = pathlib.Path(out) / f"seed-{seed}"
        subprocess.run([program, "train", config, "--out", str(folder), "--set",
                        f"train.seed={seed}", *more], check=True, stdout=subprocess.DEVNULL)
        summary = json.loads((folder / "summary.json").read_text())
        runs.append({"seed": seed, "status": summary["status"], "epochs": summary["epochs"],
                     "seconds_to_target": summary.get("seconds_to_target"),
                     "images_per_second": summary["images_per_second"],
                     "metrics": {k: v for k, v in summary["metrics"].items() if "/" not in k}})
        run = runs[-1]
        reached = run["seconds_to_target"]
        print(f"seed {seed}: " + (f"{reached:.1f} s" if reached else "target not reached") +
              f", {run['epochs']} epochs, {run['images_per_second']:.2f} images/s, {run['metrics']}")
    times = sorted(r["seconds_to_target"] for r in runs if r["seconds_to_target"])
    missed = len(runs) - len(times)
    mean = None
    if missed <= 1 and len(runs) >= 3:
        kept = times[1:] if missed == 1 else times[1:-1]
        mean = sum(kept) / len(kept)
    result = {"runs": runs, "not_converged": missed, "olympic_mean_seconds": mean}
    (pathlib.Path(out) / "time_to_train.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"olympic mean {mean:.1f} s" if mean else "no olympic mean",
          f"({missed} of {len(runs)} runs did not reach the target)")


if __name__ == "__main__":
    main()
