"""Runs a command with `--rekor HOST:PORT` of Rekor with Trillian, on a PostgreSQL server of their own.

Trillian takes up entries every 20 ms, where its default is 100: it favours Rekor.

usage: with_rekor.py PROGRAM [ARGUMENTS…]
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))
from rekor_server import RekorServer  # noqa: E402
from with_postgres import roomy  # noqa: E402


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="sigkeep-bench-"))
    folder.chmod(0o755)
    try:
        server = roomy(folder / "postgres")
        try:
            (folder / "rekor").mkdir()
            rekor = RekorServer(folder / "rekor", server)
            try:
                return subprocess.run([*sys.argv[1:], "--rekor", rekor.url.removeprefix("http://")]).returncode
            finally:
                rekor.stop()
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
