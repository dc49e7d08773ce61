# Sourced by the scripts beside it, which set $root.

# peer_python NAME PACKAGE...: the Python of build/NAME, a virtual environment with these packages,
# made where it is missing or was left half made.
peer_python() {
  local venv="$root/build/$1"
  shift
  if [[ ! -e $venv/complete ]]; then
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet "$@" >&2
    touch "$venv/complete"
  fi
  echo "$venv/bin/python"
}
