"""Runs a command with `--postgres URL` of an empty database in a PostgreSQL server of its own.

usage: with_postgres.py PROGRAM [ARGUMENTS…]
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "conformance"))
from stack import Postgres  # noqa: E402


def roomy(folder: Path) -> Postgres:
    """A server as docs/operating-the-log.md asks for: with room for the indices that are written all
    over, and no checkpoint every few seconds."""
    server = Postgres(folder)
    for setting in ("shared_buffers = '4GB'", "max_wal_size = '8GB'"):
        server.query("postgres", f"ALTER SYSTEM SET {setting}")
    server.stop()
    server.start()
    return server


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="sigkeep-bench-"))
    folder.chmod(0o755)
    try:
        server = roomy(folder / "postgres")
        try:
            url = server.create_database("bench")
            return subprocess.run([*sys.argv[1:], "--postgres", url]).returncode
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
