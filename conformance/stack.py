"""Starts and stops the real stack, and the servers around it, for the conformance tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CLIENTS = TARGET / "clients"


def sigkeep_binary() -> Path:
    """The binary under test: $SIGKEEP, or the newest of what `make` builds."""
    if configured := os.environ.get("SIGKEEP"):
        return Path(configured)
    built = [TARGET / profile / "sigkeep" for profile in ("up", "release", "debug")]
    built = [path for path in built if path.exists()]
    assert built, "no sigkeep binary: run `make build` first"
    return max(built, key=lambda path: path.stat().st_mtime)


class Stack:
    """One `sigkeep up` on free loopback ports."""

    def __init__(self, data_dir: Path, *arguments: str):
        self.data_dir = data_dir
        self.arguments = arguments
        self.process: subprocess.Popen | None = None
        self.log = data_dir.with_name(data_dir.name + ".log")
        self.endpoints: dict[str, str] = {}

    def start(self, timeout: float = 30) -> "Stack":
        command = [str(sigkeep_binary()), "up", "--data-dir", str(self.data_dir), "--free-ports", *self.arguments]
        ready = self.data_dir / "endpoints.json"
        ready.unlink(missing_ok=True)  # left behind by a killed process
        self.process = subprocess.Popen(command, stdout=self.log.open("ab"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + timeout
        while not ready.exists():
            if self.process.poll() is not None:
                raise RuntimeError(f"sigkeep up ended with {self.process.returncode}:\n{self.output()}")
            if time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"sigkeep up was not ready within {timeout} s:\n{self.output()}")
            time.sleep(0.02)
        self.endpoints = json.loads(ready.read_text())
        return self

    def stop(self) -> None:
        """Asks it to stop and waits; `up` must end by itself and say 0."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"sigkeep up did not stop within 30 s:\n{self.output()}") from None
        self.process = None
        assert code == 0, f"sigkeep up ended with {code} when asked to stop:\n{self.output()}"

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def output(self) -> str:
        return self.log.read_text(errors="replace")[-8000:]

    def trust(self, name: str) -> Path:
        path = self.data_dir / "trust" / name
        assert path.exists(), f"up did not write {path}"
        return path

    def token(self, email: str, *arguments: str) -> str:
        command = [str(sigkeep_binary()), "token", "--data-dir", str(self.data_dir), "--email", email, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def get(self, service: str, path: str) -> bytes:
        with urllib.request.urlopen(self.endpoints[service] + path, timeout=10) as answer:
            return answer.read()

    def post(self, service: str, path: str, body: bytes, content_type: str = "application/json") -> bytes:
        request = urllib.request.Request(self.endpoints[service] + path, body, {"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read()


class Registry:
    """An OCI registry on loopback (crane's, with its contents in a folder)."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder.with_name(folder.name + ".log")
        self.process = subprocess.Popen(
            [str(CLIENTS / "bin" / "crane"), "registry", "serve", "--address", "127.0.0.1:0", "--disk", str(folder)],
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 10
        while "serving on port" not in (text := self.log.read_text()):
            assert self.process.poll() is None and time.monotonic() < deadline, f"the registry did not start: {text}"
            time.sleep(0.02)
        port = text.split("serving on port", 1)[1].split()[0]
        self.host = f"localhost:{port}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class Postgres:
    """A PostgreSQL server of the tests' own, on loopback; its programs from $PG_BIN, PATH or Debian."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        # PostgreSQL refuses to run as root; there, its own account runs it.
        self.account = "postgres" if os.geteuid() == 0 else None
        folder.mkdir(parents=True, exist_ok=True)
        if self.account:
            shutil.chown(folder, self.account)
            for parent in folder.parents:
                if parent.owner() == "root" and parent != Path("/") and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        self._run("initdb", "--pgdata", self.data, "--username", "sigkeep", "--auth", "trust", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200"
        self._run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "-o", options, "start")

    def crash(self) -> None:
        """Ends it without a checkpoint, as a power cut of the process would."""
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "fast", "stop")

    def create_database(self, name: str) -> str:
        """The URL of a new, empty database."""
        self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "sigkeep", name)
        return f"postgres://sigkeep@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments) -> None:
        command = [postgres_program(program), *map(str, arguments)]
        if self.account:
            command = ["setpriv", f"--reuid={self.account}", f"--regid={self.account}", "--init-groups", *command]
        # pg_ctl's server inherits pipes: its output goes to files, or reading would never end.
        with (self.folder / "commands.log").open("ab") as log:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60, cwd="/")
        assert done.returncode == 0, f"{program} failed: {(self.folder / 'commands.log').read_text()[-2000:]}"


def postgres_program(name: str) -> str:
    """Where PostgreSQL's programs are."""
    candidates = [os.environ["PG_BIN"]] if "PG_BIN" in os.environ else []
    candidates += sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    for folder in candidates:
        if (Path(folder) / name).exists():
            return str(Path(folder) / name)
    found = shutil.which(name)
    assert found, f"PostgreSQL's {name} was not found: install postgresql, or set PG_BIN"
    return found


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
