# Sourced by ./run check, whose functions and $root it uses. Every part runs even when an earlier
# one failed; the failures are listed at the end.
failures=()

part() {
  local name=$1
  shift
  echo "== $name"
  "$@" || failures+=("$name")
}

sources() {
  git -C "$root" ls-files -z -- '*.h' '*.cpp'
}

check_format() {
  (cd "$root" && sources | xargs -0 clang-format --dry-run -Werror)
}

# Tests are not linted: the macros of GoogleTest trip checks that are right elsewhere. GCC's own
# warning flags are unknown to clang and left out of the database's errors.
check_lint() {
  (cd "$root" && git ls-files -z -- 'wholemount/*.cpp' 'cli/*.cpp' | grep -zv '_test\.cpp$' |
    xargs -0 -P "$(nproc)" -n 4 clang-tidy --quiet -p build/dev \
      --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-error \
      --extra-arg=-Wno-unused-command-line-argument 2>/dev/null)
}

check_preset() {
  build "$1" && run_tests "$1"
}

# In headless Chromium: no script errors, sliders, light, dark, phone.
check_report_page() {
  build release wholemount && "$root/wholemount/report/page_check.sh" "$root/build/release/wholemount"
}

check_fuzz() {
  build fuzz && "$root/tools/fuzz.sh" all 30
}

# Real scans against nibabel, in an environment of its own; left out where there are none.
check_nibabel() {
  local data=${WM_SHARED_DATA:-$root/../shared/data}
  if [[ ! -d $data ]]; then
    echo "skipped: no real scans at $data"
    return 0
  fi
  [[ -x $root/.venv/bin/python ]] || python3 -m venv "$root/.venv"
  "$root/.venv/bin/python" -c 'import nibabel, numpy' 2>/dev/null ||
    "$root/.venv/bin/pip" -q install nibabel numpy
  build release wholemount
  "$root/.venv/bin/python" "$root/tools/compare_with_nibabel.py" \
    "$root/build/release/wholemount" "$data"
}

# The example for BBBC021 on its real tables; left out where there are none.
check_bbbc021() {
  local tables=${WM_SHARED_DATA:-$root/../shared/data}/bbbc021_metadata
  if [[ ! -d $tables ]]; then
    echo "skipped: no tables at $tables"
    return 0
  fi
  build release wholemount
  "$root/tests/bbbc021_as_downloaded.py" "$root/build/release/wholemount" "$tables"
}

part "sizes of files" python3 "$root/tools/check_sizes.py" "$root"
part "format" check_format
part "report page" check_report_page
part "tests with address and undefined-behaviour sanitizers" check_preset dev
part "lint" check_lint
part "scans read and written as nibabel reads them" check_nibabel
part "examples/bbbc021.toml on the tables as downloaded" check_bbbc021
part "half a minute of fuzzing each reader" check_fuzz
part "tests with the thread sanitizer" check_preset tsan
if [[ -x $root/tools/check_spills.sh ]]; then
  part "kernels hold their numbers in registers" "$root/tools/check_spills.sh"
fi

if ((${#failures[@]} > 0)); then
  echo "check: failed:" >&2
  printf '  %s\n' "${failures[@]}" >&2
  exit 1
fi
echo "check: all parts passed"
