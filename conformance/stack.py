"""Starts and stops the real stack, and the servers around it, for the conformance tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
CLIENTS = TARGET / "clients"


def make_key(path: Path) -> None:
    """A new P-256 key, which only its owner may read."""
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path], check=True)
    path.chmod(0o600)


def sigkeep_binary() -> Path:
    """The binary under test: $SIGKEEP, or the newest of what `make` builds."""
    if configured := os.environ.get("SIGKEEP"):
        return Path(configured).resolve()
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


class Service:
    """A service of the binary under test by itself, on a free port that its log names."""

    def __init__(self, log: Path, *arguments):
        self.log = log
        command = [str(argument) for argument in (sigkeep_binary(), *arguments)]
        self.process = subprocess.Popen(command, stdout=log.open("wb"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while not (found := re.search(r'"address":"[^"]*:(\d+)"', log.read_text())):
            assert self.process.poll() is None and time.monotonic() < deadline, f"it did not start: {log.read_text()}"
            time.sleep(0.02)
        self.port = int(found[1])

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0, self.log.read_text()


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
        self._place(folder)
        self._run("initdb", "--pgdata", self.data, "--username", "sigkeep", "--auth", "trust", "--no-sync")
        self.start()

    def _place(self, folder: Path) -> None:
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

    def query(self, database: str, sql: str) -> str:
        """What psql answers."""
        command = [postgres_program("psql"), "-h", "127.0.0.1", "-p", self.port, "-U", "sigkeep", "-d", database, "-Atc", sql]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def wait_for_standby(self, synchronous: bool) -> None:
        """Commits wait for the standby from here on, if it is to be synchronous."""
        if synchronous:
            self.query("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.query("postgres", "SELECT pg_reload_conf()")
        wanted = "sync" if synchronous else "async"
        deadline = time.monotonic() + 30
        while self.query("postgres", "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'") != wanted:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def _run(self, program: str, *arguments) -> None:
        command = [postgres_program(program), *map(str, arguments)]
        if self.account:
            command = ["setpriv", f"--reuid={self.account}", f"--regid={self.account}", "--init-groups", *command]
        # pg_ctl's server inherits pipes: its output goes to files, or reading would never end.
        with (self.folder / "commands.log").open("ab") as log:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=60, cwd="/")
        assert done.returncode == 0, f"{program} failed: {(self.folder / 'commands.log').read_text()[-2000:]}"


class Standby(Postgres):
    """A copy of a running server that follows it by streaming replication."""

    def __init__(self, folder: Path, primary: Postgres):
        self._place(folder)
        connection = f"host=127.0.0.1 port={primary.port} user=sigkeep"
        self._run("pg_basebackup", "-D", self.data, "-d", connection, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        # What the primary was told since it started is its own.
        (self.data / "postgresql.auto.conf").open("a").write("synchronous_standby_names = ''\n")
        self.start()

    def promote(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "promote")


class Address:
    """An address that stays the same while the server behind it changes, as a virtual IP does."""

    def __init__(self, port: int):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target = port
        self.open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def point_to(self, port: int) -> None:
        """Connections to the server before are cut."""
        self.target = port
        for one in list(self.open):
            shut(one)

    def close(self) -> None:
        self.listener.close()
        self.point_to(0)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self.open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        shut(source)
        shut(sink)
        self.open -= {source, sink}


def shut(one: socket.socket) -> None:
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other end was first


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
