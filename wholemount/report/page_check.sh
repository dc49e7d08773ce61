#!/bin/bash
# Opens a report in headless Chromium, light, dark and as narrow as a phone, moves every slider, and
# fails on script errors, on sliders that show nothing new, and on a page wider than its window.
# Then the page of a run that classifies fields.
#   page_check.sh WHOLEMOUNT [FOLDER FOR SCREENSHOTS]
# Exit 77 (skipped) where there is no Chromium.
set -euo pipefail
wholemount=$(realpath "$1")
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  echo "no Chromium: skipped"
  exit 77
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
shots=${2:-$work/shots}
mkdir -p "$shots"

"$wholemount" synth brain "$work/data" --cases 6 --shape 24x40x32 --seed 5 > "$work/synth.out"
cat > "$work/run.toml" << TOML
[data]
root = "$work/data"
target = ["whole-tumour"]
split = { seed = 1, train = 0.5, validation = 0.5, test = 0.0 }
[net]
filters = 4
levels = 2
[train]
epochs = 3
batch = 1
TOML
"$wholemount" train "$work/run.toml" --out "$work/run" --threads 1 > "$work/train.out" 2>&1
"$wholemount" report "$work/run" --threads 1

# The probe stands before the page's own script, so that it sees that one fail, too.
sed 's|</head>|<script>window.failures=[];window.onerror=function(m){failures.push(m)};</script></head>|
     s|</body>|<script>setTimeout(function(){var sliders=document.querySelectorAll("input[data-view]");\
sliders.forEach(function(s){var p=document.getElementById(s.dataset.view),seen={};\
for(var i=0;i<=Number(s.max);i++){s.value=i;s.dispatchEvent(new Event("input"));seen[p.src]=1;}\
if(Object.keys(seen).length<2)failures.push(s.dataset.view+" shows one slice only");});\
if(sliders.length!==9)failures.push(sliders.length+" sliders, wanted 9");\
document.title=failures.length?"FAILED "+failures.join("; "):"PASSED";},0)</script></body>|' \
  "$work/run/report.html" > "$work/probe.html"
cat > "$work/phone.html" << 'HTML'
<!DOCTYPE html><title>x</title><body style="margin:0">
<iframe id="f" src="run/report.html" style="width:390px;height:1600px;border:0"></iframe><script>
onload=function(){var r=document.getElementById("f").contentDocument.documentElement;
document.title=r.scrollWidth<=390?"PASSED":"FAILED the page is "+r.scrollWidth+" wide on a phone"}
</script></body>
HTML
run_browser() {
  "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=3000 \
    --allow-file-access-from-files --user-data-dir="$work/profile" "$@" 2> "$work/browser.err"
}
for page in probe phone; do
  title=$(run_browser --dump-dom "file://$work/$page.html" | grep -o '<title>[^<]*' | head -1)
  echo "$page: ${title#<title>}"
  [ "$title" = "<title>PASSED" ]
done
# The page of a run that classifies: no sliders, wide tables that scroll, and everything that
# paper B draws.
"$wholemount" synth cells "$work/cells" --images 104 --shape 64x80 --classes 13 > "$work/cells.out" 2>&1
cat > "$work/classes.toml" << TOML
[data]
root = "$work/cells"
normalise = "zscore"
split = { by = "well", folds = 2, fold = 0 }
[net]
kind = "mcnn"
[train]
epochs = 2
batch = 8
TOML
"$wholemount" train "$work/classes.toml" --out "$work/classes" --threads 1 > "$work/classes.out" 2>&1
sed 's|</head>|<script>window.failures=[];window.onerror=function(m){failures.push(m)};</script></head>|
     s|</body>|<script>setTimeout(function(){["Confusion matrix","Throughput and memory over the batch",\
"Classes","One image of each class","Curves"].forEach(function(t){if(![].some.call(document.querySelectorAll("h2"),\
function(h){return h.textContent===t}))failures.push("no section "+t);});\
if(document.querySelectorAll(".examples figure").length!==13)failures.push("not 13 examples");\
document.title=failures.length?"FAILED "+failures.join("; "):"PASSED";},0)</script></body>|' \
  "$work/classes/report.html" > "$work/probe_classes.html"
sed 's|run/report.html|classes/report.html|' "$work/phone.html" > "$work/phone_classes.html"
for page in probe_classes phone_classes; do
  title=$(run_browser --dump-dom "file://$work/$page.html" | grep -o '<title>[^<]*' | head -1)
  echo "$page: ${title#<title>}"
  [ "$title" = "<title>PASSED" ]
done
run_browser --window-size=1200,4600 --screenshot="$shots/classes.png" "file://$work/classes/report.html"
run_browser --window-size=1200,4000 --screenshot="$shots/light.png" "file://$work/run/report.html"
run_browser --window-size=1200,4000 --blink-settings=preferredColorScheme=0 \
  --screenshot="$shots/dark.png" "file://$work/run/report.html"
run_browser --window-size=500,1600 --screenshot="$shots/phone.png" "file://$work/phone.html"
for shot in light dark phone classes; do [ -s "$shots/$shot.png" ]; done
! cmp -s "$shots/light.png" "$shots/dark.png"
