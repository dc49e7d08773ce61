# Sourced by ./run demo, whose $root it uses: one data set from plan to report. Without DATASET head
# phantoms are drawn, so that nothing is needed; with one, any layout the program detects will do.

# json_number FILE KEY: the first number stored under a key.
json_number() {
  sed -n 's/.*"'"$2"'": *\([-+.0-9eE]*\).*/\1/p' "$1" | sed -n 1p
}

# heading TEXT
heading() {
  printf '\ndemo: %s\n' "$1"
}

# As many epochs as the plan expects to take five minutes; 1 to 40.
epochs_for_five_minutes() {
  local seconds
  "$wm" plan "$config" "${settings[@]}" --json >"$out.plan.json"
  seconds=$(json_number "$out.plan.json" epoch_seconds)
  rm -f "$out.plan.json"
  awk -v s="$seconds" 'BEGIN { n = int(300 / (s + 0.001)); print (n < 1 ? 1 : (n > 40 ? 40 : n)) }'
}

# The last lines: what a newcomer came for.
recap() {
  local threshold
  threshold=$(sed -n '/"threshold_baseline"/,$s/.*"Dice": *\([.0-9eE-]*\).*/\1/p' \
    "$out/evaluation.json" | awk '{ sum += $1 } END { printf "%.3f", sum / NR }')
  printf '  %-22s %.3f, best threshold %s\n' "held-out Dice" \
    "$(json_number "$out/evaluation.json" Dice)" "$threshold"
  awk '
    function size(bytes) { return sprintf("%.2f MiB", bytes / 1048576) }
    function line(name, text) { printf "  %-22s %s\n", name, text }
    { sub(/^"/, "", $1) }
    $1 == "predicted_peak_bytes" { peak = $2 } $1 == "measured_peak_bytes" { measured = $2 }
    $1 == "predicted_step_seconds" { step = $2 } $1 == "measured_step_seconds" { took = $2 }
    END {
      line("peak memory", size(peak) " predicted, " size(measured) " measured")
      line("one update", sprintf("%.3f s predicted, %.3f s measured", step, took))
    }' FS='": *' <(sed 's/^ *//; s/,$//' "$out/summary.json")
  printf '  %-22s %s\n' "report" "$out/report.html"
}

demo() {
  local dataset=${1:-}
  local wm="$root/build/release/wholemount"
  local out="$root/runs/demo"
  local config="$root/examples/any_dataset.toml"
  local settings=()
  local begin=$SECONDS
  mkdir -p "$root/runs"
  rm -rf "$out"
  heading "what this machine can do (measured once, kept in ~/.cache/wholemount)"
  "$wm" calibrate | tail -n 1
  if [[ -z $dataset ]]; then
    dataset="$root/runs/demo-data"
    config="$root/examples/phantoms.toml"
    heading "no data set given: drawing 60 heads with tumours into $dataset"
    rm -rf "$dataset"
    "$wm" synth brain "$dataset" --cases 60 --shape 48x64x64 --seed 816 2>/dev/null
    settings=(--set "data.root=$dataset")
  else
    settings=(--set "data.root=$dataset")
    settings+=(--set "train.epochs=$(epochs_for_five_minutes)")
  fi
  heading "1. plan: bytes and seconds, before anything runs"
  "$wm" plan "$config" "${settings[@]}"
  heading "2. train on whole volumes, results in $out"
  "$wm" train "$config" "${settings[@]}" --out "$out"
  heading "3. evaluate the held-out cases, beside the best threshold"
  "$wm" evaluate "$out" --split validation --baseline --out "$out/evaluation.json"
  heading "4. predict label maps of three held-out images"
  local images
  mapfile -t images < <(sed -n 's/.*"prediction_file": *"\(.*\)".*/\1/p' "$out/evaluation.json" |
    sed -n 1,3p)
  "$wm" predict "$out" "${images[@]}" --out "$out/predictions" ||
    echo "demo: these images could not be predicted one file at a time; the report shows others"
  heading "5. done in $((SECONDS - begin)) s"
  recap
}
