"""Runs a command with `--rekor HOST:PORT` of Rekor with Trillian, on a PostgreSQL server of their own.

Trillian takes up entries every 20 ms, where its default is 100: it favours Rekor.

usage: with_rekor.py PROGRAM [ARGUMENTS…]
"""

import subprocess
import sys

# Which also finds the modules of conformance/.
from with_postgres import roomy
from rekor_server import RekorServer


def main() -> int:
    with roomy() as (folder, server):
        (folder / "rekor").mkdir()
        rekor = RekorServer(folder / "rekor", server)
        try:
            return subprocess.run([*sys.argv[1:], "--rekor", rekor.url.removeprefix("http://")]).returncode
        finally:
            rekor.stop()


if __name__ == "__main__":
    sys.exit(main())
