#!/usr/bin/env python3
"""Checks that docs/conformance names, for every row of a contract, tests that exist.

A table's row is `| number | case | proof |`. A proof is one test or more, each in backquotes, or
the words "Not covered: " and a reason. A test is `module::name`, in the folder that the file's
`<!-- tests: FOLDER -->` names, or `path/to/file::name`. `<!-- rows: FIRST-LAST -->` says which
numbers there must be. `<!-- stores: every -->` asks for tests of `on_every_store!`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def exists(reference: str, folder: str, every_store: bool) -> bool:
    place, _, name = reference.rpartition("::")
    path = ROOT / place if "/" in place else ROOT / folder / f"{place}.rs"
    if not path.is_file():
        return False
    text = path.read_text()
    if path.suffix == ".py":
        return re.search(rf"^def {name}\(", text, re.MULTILINE) is not None
    if every_store:
        return re.search(rf"^    async fn {name}\(stack\)", text, re.MULTILINE) is not None
    function = re.search(rf"(#\[[^\n]*test[^\n]*\]\s*)?(async )?fn {name}\(", text)
    # A function that is no test itself is one that a macro runs on every store.
    return function is not None and (function[1] is not None or re.search(rf"^    {name},$", text, re.MULTILINE) is not None)


def faults(document: Path) -> list[str]:
    text = document.read_text()
    folder = re.search(r"<!-- tests: (\S+) -->", text)[1]
    every_store = "<!-- stores: every -->" in text
    first, last = map(int, re.search(r"<!-- rows: (\d+)-(\d+) -->", text).groups())
    found, numbers = [], []
    for number, _, proof in re.findall(r"^\| *(\d+) *\|(.*)\|([^|]*)\|$", text, re.MULTILINE):
        numbers.append(int(number))
        tests = re.findall(r"`([^`]+::[^`]+)`", proof)
        found += [f"row {number}: there is no test {test}" for test in tests if not exists(test, folder, every_store)]
        if not tests and not re.search(r"Not covered: \S.{10,}", proof):
            found.append(f"row {number}: neither a test nor a reason")
    if numbers != list(range(first, last + 1)):
        found.append(f"rows are not {first} to {last}, in order")
    return [f"{document.relative_to(ROOT)}: {fault}" for fault in found]


def main() -> int:
    documents = sorted((ROOT / "docs/conformance").glob("*.md"))
    found = [fault for document in documents for fault in faults(document)]
    print("\n".join(found) or f"every row of {len(documents)} contracts is proven by tests that exist, or says why not")
    return 1 if found or not documents else 0


if __name__ == "__main__":
    sys.exit(main())
