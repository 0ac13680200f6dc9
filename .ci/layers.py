#!/usr/bin/env python3
"""Checks that the workspace's crates depend downward only, and that the pure ones stay pure."""

import json
import subprocess
import sys

# From top to bottom; a crate may depend on crates of lower rows only, or of its own row where
# `SAME_ROW` says so.
ROWS = [
    {"sigkeep"},
    {"fulcio-rs", "rekor-rs", "timestamp-rs", "tuf-root"},
    {"logstore-postgres", "logstore-sqlite"},
    {"custody", "sequencer", "serve"},
    {"logstore", "keys", "oidc"},
    {"wire", "tlog", "pki", "crypto", "openpgp", "verifier", "clock"},
]
SAME_ROW = {("tlog", "crypto"), ("pki", "crypto"), ("wire", "crypto"), ("wire", "pki"), ("wire", "tlog")} | {
    ("verifier", other) for other in ("wire", "tlog", "pki", "crypto")
}
PURE = {"wire", "tlog", "pki", "crypto", "openpgp", "verifier"}
IMPURE = {"tokio", "axum", "sqlx", "reqwest", "clock"}
SQL = {"logstore-postgres", "logstore-sqlite"}


def main() -> int:
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"]
    packages = json.loads(subprocess.check_output(command))["packages"]
    row_of = {name: number for number, row in enumerate(ROWS) for name in row}
    faults = []
    for package in packages:
        name = package["name"]
        if name not in row_of:
            if name not in ("bench", "fuzz"):
                faults.append(f"{name} has no row in .ci/layers.py")
            continue
        for dependency in package["dependencies"]:
            target = dependency["name"]
            if dependency["kind"] == "dev":
                continue
            if target in row_of and row_of[target] <= row_of[name] and (name, target) not in SAME_ROW:
                faults.append(f"{name} must not depend on {target}: arrows point downward")
            if name in PURE and target in IMPURE:
                faults.append(f"{name} is pure: it must not depend on {target}")
            if target == "sqlx" and name not in SQL:
                faults.append(f"{name} must not know sqlx: only the store crates do")
    print("\n".join(faults) or "crates depend downward only")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
