#!/usr/bin/env python3
"""Lists sources longer than the house's guide (400 lines); fails beyond 600.

Usage: check_sizes.py REPOSITORY. A file with one long reason may be waived in WAIVERS.
"""

import pathlib
import subprocess
import sys

GUIDE_LINES = 400
LIMIT_LINES = 600
SUFFIXES = {".h", ".cpp", ".py", ".sh"}
WAIVERS: dict[str, str] = {}  # path -> reason


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    names = subprocess.run(
        ["git", "-C", str(root), "ls-files"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    lengths = {}
    for name in names:
        path = root / name
        if path.suffix in SUFFIXES and path.is_file():
            lengths[name] = len(path.read_text(encoding="utf-8").splitlines())
    failed = False
    for name, lines in sorted(lengths.items(), key=lambda item: -item[1]):
        if lines <= GUIDE_LINES:
            break
        too_long = lines > LIMIT_LINES and name not in WAIVERS
        failed |= too_long
        print(f"{'too long' if too_long else 'long'}: {name}: {lines} lines"
              + (f" ({WAIVERS[name]})" if name in WAIVERS else ""))
    print(f"{len(lengths)} sources, {sum(lengths.values())} lines")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
