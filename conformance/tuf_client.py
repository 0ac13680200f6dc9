#!/usr/bin/env python3
"""A TUF client that shares no code with the writer: python-tuf.

    tuf_client.py --mirror URL --root root.json --cache DIR [--target NAME …]

Updates from the mirror, downloads every target (or those that are named) and prints one JSON object
with the versions and expiries that it trusts. A second run with the same cache is a client that has
been here before. Exit code 1, and the reason on stderr, if python-tuf refuses anything.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater

ROLES = ("root", "targets", "snapshot", "timestamp")


def update(mirror: str, root: Path, cache: Path, names: list[str] | None = None) -> dict:
    """One run of a client. Raises RepositoryError or DownloadError if it refuses."""
    metadata, targets = cache / "metadata", cache / "targets"
    metadata.mkdir(parents=True, exist_ok=True)
    targets.mkdir(parents=True, exist_ok=True)
    mirror = mirror.rstrip("/")
    updater = Updater(str(metadata), f"{mirror}/", str(targets), f"{mirror}/targets/", bootstrap=root.read_bytes())
    updater.refresh()
    trusted = {role: Metadata.from_file(str(metadata / f"{role}.json")).signed for role in ROLES}
    contents = {}
    for name in names or sorted(trusted["targets"].targets):
        info = updater.get_targetinfo(name)
        if info is None:
            raise RepositoryError(f"no target {name}")
        contents[name] = info.hashes.get("sha256")
        if updater.find_cached_target(info) is None:
            updater.download_target(info)
    return {
        "versions": {role: signed.version for role, signed in trusted.items()},
        "expires": {role: signed.expires.strftime("%Y-%m-%dT%H:%M:%SZ") for role, signed in trusted.items()},
        "targets": contents,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mirror", required=True, help="URL of the repository")
    parser.add_argument("--root", required=True, type=Path, help="first root, from a way that is trusted")
    parser.add_argument("--cache", required=True, type=Path, help="directory of the client's cache")
    parser.add_argument("--target", action="append", dest="targets", metavar="NAME", help="target to download; default all")
    arguments = parser.parse_args()
    try:
        result = update(arguments.mirror, arguments.root, arguments.cache, arguments.targets)
    except (RepositoryError, DownloadError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    json.dump(result, sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
