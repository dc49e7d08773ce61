#!/usr/bin/env bash
# Kills a short training with SIGKILL at random moments and resumes it until it ends; its weights
# must be those of the uninterrupted run. Usage: kill_and_resume.sh PROGRAM [KILLS] [SEED]
# A moment is a number of logged lines plus some milliseconds, not a time since the start: so every
# attempt hits a running process, however busy the machine is.
set -euo pipefail
program=$1
kills=${2:-20}
RANDOM=${3:-816}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$program" synth brain "$work/data" --cases 6 --shape 32x40x40 --seed 5 2>/dev/null >/dev/null
cat >"$work/config.toml" <<TEXT
[data]
root = "$work/data"
channels = ["FLAIR"]
target = "whole-tumour"
split = { seed = 1, train = 0.7, validation = 0.3, test = 0.0 }
augment = ["flip"]
[net]
filters = 8
levels = 3
[train]
epochs = 12
batch = 2
schedule = { name = "poly" }
TEXT
digest() { sed -n 's/.*"weights_digest": "\(.*\)".*/\1/p' "$1/summary.json"; }
log_without_times() { sed 's/,"seconds":[^,}]*//' "$1/log.jsonl"; }

lines() { if [[ -f $1/log.jsonl ]]; then wc -l <"$1/log.jsonl"; else echo 0; fi; }

"$program" train "$work/config.toml" --out "$work/whole" --no-report >/dev/null 2>&1
wanted=$(digest "$work/whole")
total=$(lines "$work/whole")
echo "uninterrupted: $total lines of log, $wanted"

killed=0
round=0
while ((killed < kills)); do
  round=$((round + 1))
  run="$work/run$round"
  while true; do
    "$program" train "$work/config.toml" --out "$run" --resume --no-report >/dev/null 2>"$run.err" &
    pid=$!
    # From before the first line after the resume to a little after the last one of the run.
    logged=$(lines "$run")
    moment=$((logged + RANDOM % (total - logged + 1)))
    ended=no
    until (($(lines "$run") >= moment)); do
      if ! kill -0 "$pid" 2>/dev/null; then
        ended=yes
        break
      fi
      sleep 0.002
    done
    sleep "0.0$((10 + RANDOM % 60))"
    if [[ $ended == no ]] && kill -9 "$pid" 2>/dev/null; then
      wait "$pid" 2>/dev/null || true
      killed=$((killed + 1))
      if ((killed >= kills)); then
        "$program" train "$work/config.toml" --out "$run" --resume --no-report >/dev/null 2>"$run.err"
        break
      fi
    else
      wait "$pid" || { cat "$run.err"; exit 1; }
      break
    fi
  done
  if [[ $(digest "$run") != "$wanted" ]]; then
    echo "round $round: resumed run ended in $(digest "$run")"
    exit 1
  fi
  if ! cmp -s <(log_without_times "$work/whole") <(log_without_times "$run"); then
    echo "round $round: the resumed log differs from the uninterrupted one"
    diff <(log_without_times "$work/whole") <(log_without_times "$run") | head
    exit 1
  fi
done
echo "$killed kills in $round runs: every run ended in the uninterrupted run's weights and log"
