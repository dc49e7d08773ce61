#!/usr/bin/env python3
"""Fails when an inner product loop keeps a vector on the stack.

Usage: check_spills.py OBJECT... . Disassembles each object (objdump), takes the innermost loops
with at least four multiply-adds, and looks for vector registers that travel to or from the stack
inside them: what GCC does when it runs out of registers, at half the speed.
"""

import re
import subprocess
import sys

MIN_MULTIPLY_ADDS = 4
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$")
TARGET = re.compile(r"^([0-9a-f]+) ")
VECTOR_ON_STACK = re.compile(r"(%[xyz]mm\d+.*\(%r[sb]p|\(%r[sb]p.*%[xyz]mm\d+)")


def functions(path):
    """Yields (name, [(address, mnemonic, operands)])."""
    text = subprocess.run(
        ["objdump", "-d", "-C", "--no-show-raw-insn", path],
        check=True, capture_output=True, text=True).stdout
    name, body = None, []
    for line in text.splitlines():
        start = FUNCTION.match(line)
        if start:
            if name:
                yield name, body
            name, body = start.group(1), []
            continue
        found = INSTRUCTION.match(line)
        if found:
            body.append((int(found.group(1), 16), found.group(2), found.group(3)))
    if name:
        yield name, body


def innermost_loops(body):
    """Instruction lists between a backward jump and its target that hold no other such pair."""
    index = {address: i for i, (address, _, _) in enumerate(body)}
    loops = []
    for i, (address, mnemonic, operands) in enumerate(body):
        target = TARGET.match(operands + " ")
        if not mnemonic.startswith("j") or not target:
            continue
        begin = index.get(int(target.group(1), 16))
        if begin is not None and begin <= i:
            loops.append((begin, i))
    return [body[a:b + 1] for a, b in loops
            if not any((c, d) != (a, b) and a <= c and d <= b for c, d in loops)]


def main() -> int:
    checked = 0
    failures = []
    for path in sys.argv[1:]:
        for name, body in functions(path):
            for loop in innermost_loops(body):
                products = sum(m.startswith("vfmadd") for _, m, _ in loop)
                if products < MIN_MULTIPLY_ADDS:
                    continue
                checked += 1
                spills = [i for i in loop if VECTOR_ON_STACK.search(i[2])]
                if spills:
                    failures.append((path, name, products, spills))
    for path, name, products, spills in failures:
        print(f"{path}: {name}: a loop of {products} multiply-adds keeps vectors on the stack:")
        for address, mnemonic, operands in spills[:4]:
            print(f"    {address:x}: {mnemonic} {operands}")
    print(f"{checked} inner loops checked, {len(failures)} with vectors on the stack")
    return 1 if failures or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
