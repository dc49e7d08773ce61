# Sourced by the scripts beside it.

# phantom_job FOLDER CASES SHAPE FILTERS: drawn heads in FOLDER/data and FOLDER/config.toml, paper A's
# U-Net on their FLAIR channel: half of the cases train, half validate.
phantom_job() {
  local folder=$1 cases=$2 shape=$3 filters=$4
  "$root/build/release/wholemount" synth brain "$folder/data" --cases "$cases" --shape "$shape" \
    --seed 1 >/dev/null 2>&1
  cat >"$folder/config.toml" <<TEXT
[data]
root = "$folder/data"
channels = ["FLAIR"]
target = "whole-tumour"
normalise = "zscore"
split = { seed = 1, train = 0.5, validation = 0.5, test = 0.0 }
[net]
filters = $filters
[train]
batch = 1
loss = [ { name = "dice", weight = 0.7 }, { name = "bce", weight = 0.3 } ]
schedule = { name = "constant" }
TEXT
}
