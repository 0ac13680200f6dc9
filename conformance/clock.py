"""A time of day that the tests move, for programs as they were released: see clock/shifted.c."""

from __future__ import annotations

import struct
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

SOURCE = Path(__file__).parent / "clock" / "shifted.c"
DAY = 86_400


class Clock:
    """The clock of every command that went through it, whenever it was started."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.program, self.file = folder / "shifted", folder / "offset"
        subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self.program, SOURCE], check=True)
        self.offset = 0
        self.file.write_bytes(struct.pack("q", 0))

    def command(self, *command) -> list[str]:
        """The command, run at this clock's time."""
        return [str(part) for part in (self.program, self.file, *command)]

    def advance(self, days: float) -> None:
        """Moves it for everybody at once: the file is mapped by each of them."""
        self.offset += round(days * DAY)
        with self.file.open("r+b") as file:
            file.write(struct.pack("q", self.offset))

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self.offset, timezone.utc)

    def text(self, days: float = 0) -> str:
        """The time in so many days, as metadata writes it."""
        return (self.now() + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
