"""Rekor itself, with Trillian under it. Both are built when they are first needed, which takes minutes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

from stack import CLIENTS, Postgres, free_port, make_key

REKOR = "github.com/sigstore/rekor/cmd/rekor-server@v1.5.4"
TRILLIAN = "github.com/google/trillian"
TRILLIAN_VERSION = "v1.7.3"


class RekorServer:
    """A running Rekor, with an empty log in a database of its own."""

    def __init__(self, folder: Path, postgres: Postgres, hostname: str = "rekor.example"):
        self.folder, self.processes = folder, []
        try:
            self._start(postgres, hostname)
        except BaseException:
            self.stop()
            raise

    def _start(self, postgres: Postgres, hostname: str) -> None:
        folder = self.folder
        programs = (CLIENTS / "rekor-server" / f"{REKOR.split('@')[1]}-{TRILLIAN_VERSION}").resolve()
        for package in (REKOR, *(f"{TRILLIAN}/cmd/{name}@{TRILLIAN_VERSION}" for name in ("trillian_log_server", "trillian_log_signer"))):
            if not (programs / package.rsplit("/", 1)[1].split("@")[0]).exists():
                subprocess.run(["go", "install", package], check=True, env={**os.environ, "GOBIN": str(programs)})
        module = subprocess.run(["go", "mod", "download", "-json", f"{TRILLIAN}@{TRILLIAN_VERSION}"], check=True, capture_output=True)
        schema = Path(json.loads(module.stdout)["Dir"]) / "storage/postgresql/schema/storage.sql"
        database = postgres.create_database("trillian")
        postgres.query("trillian", schema.read_text())

        store = ["--storage_system=postgresql", "--quota_system=noop", f"--postgresql_uri={database}?sslmode=disable"]
        trillian = free_port()
        self.spawn(programs / "trillian_log_server", *store, f"--rpc_endpoint=127.0.0.1:{trillian}", f"--http_endpoint=127.0.0.1:{free_port()}")
        self.spawn(
            programs / "trillian_log_signer", *store, "--force_master", "--sequencer_interval=20ms", "--num_sequencers=1",
            f"--rpc_endpoint=127.0.0.1:{free_port()}", f"--http_endpoint=127.0.0.1:{free_port()}",
        )  # fmt: skip
        # Rekor gives up at once if it finds nobody there.
        self.wait(lambda: socket.create_connection(("127.0.0.1", trillian), timeout=5).close())
        key = folder / "rekor.key"
        make_key(key)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.spawn(
            programs / "rekor-server", "serve", f"--port={port}", "--rekor_server.address=127.0.0.1",
            f"--rekor_server.hostname={hostname}", f"--rekor_server.signer={key}",
            "--trillian_log_server.address=127.0.0.1", f"--trillian_log_server.port={trillian}",
            "--enable_retrieve_api=false",
        )  # fmt: skip
        self.tree = self.wait(self._tree)

    def _tree(self) -> str:
        with urllib.request.urlopen(f"{self.url}/api/v1/log", timeout=5) as answer:
            return json.load(answer)["treeID"]

    def wait(self, ask):
        """What is answered, once it is; all that was started must go on meanwhile."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return ask()
            except OSError:
                assert time.monotonic() < deadline, self.output()
                assert all(process.poll() is None for process in self.processes), self.output()
                time.sleep(0.1)

    def spawn(self, *command) -> None:
        log = (self.folder / f"{Path(command[0]).name}.log").open("ab")
        self.processes.append(subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, cwd=self.folder))

    def output(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in self.folder.glob("*.log"))

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
