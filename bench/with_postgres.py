"""Runs a command with `--postgres URL` of an empty database in a PostgreSQL server of its own.

usage: with_postgres.py PROGRAM [ARGUMENTS…]
"""

import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))
from stack import Postgres  # noqa: E402


@contextmanager
def roomy():
    """A folder, and a server in it as docs/operating-the-log.md asks for: with room for the indices that
    are written all over, and no checkpoint every few seconds. Both are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sigkeep-bench-"))
    folder.chmod(0o755)
    try:
        server = Postgres(folder / "postgres")
        try:
            for setting in ("shared_buffers = '4GB'", "max_wal_size = '8GB'"):
                server.query("postgres", f"ALTER SYSTEM SET {setting}")
            server.stop()
            server.start()
            yield folder, server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    with roomy() as (_, server):
        url = server.create_database("bench")
        return subprocess.run([*sys.argv[1:], "--postgres", url]).returncode


if __name__ == "__main__":
    sys.exit(main())
