"""Several `sigkeep rekor serve` on one PostgreSQL, and the rotation of their log."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from rekor import Rekor, sha256
from stack import free_port, sigkeep_binary


class Replica:
    """A `sigkeep rekor serve` of its own port and guard directory, sharing keys and database."""

    def __init__(self, folder: Path, number: int, database: str, logs: str):
        self.url = f"http://localhost:{free_port()}"
        self.folder = folder / f"replica-{number}"
        self.folder.mkdir()
        self.config = self.folder / "rekor.yaml"
        self.config.write_text(
            f"""
hostname: localhost
logs: {logs}
guard-dir: {self.folder}/guards
server: {{listen: "127.0.0.1:{self.url.rsplit(":", 1)[1]}", database: "{database}"}}
"""
        )
        self.process = None

    def start(self) -> "Replica":
        self.process = self.spawn()
        deadline = time.monotonic() + 20
        while True:
            assert self.process.poll() is None, self.output()
            try:
                if Rekor(self.url).call("GET", "/api/v1/log")[0] == 200:
                    return self
            except (OSError, http.client.HTTPException):
                pass
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.05)

    def spawn(self) -> subprocess.Popen:
        log = (self.folder / "log").open("ab")
        command = [str(sigkeep_binary()), "rekor", "serve", "--config", str(self.config)]
        return subprocess.Popen(command, stdout=log, stderr=log)

    def output(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-8000:]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(30) == 0, self.output()


class Cluster:
    """Replicas of one Rekor log whose next shard's key is configured from the beginning."""

    def __init__(self, folder: Path, database: str, replicas: int = 2):
        self.keys = [folder / "first.pem", folder / "second.pem"]
        for key in self.keys:
            command = ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key]
            subprocess.run(command, check=True, capture_output=True)
            key.chmod(0o600)
        logs = ", ".join(f'{{kind: rekor-v1, key: "file:{key}"}}' for key in self.keys)
        self.replicas = [Replica(folder, number, database, f"[{logs}]") for number in range(replicas)]
        self.log("create", "--kind", "rekor-v1", "--key", f"file:{self.keys[0]}")

    def start(self) -> "Cluster":
        for replica in self.replicas:
            replica.start()
        return self

    def stop(self) -> None:
        for replica in self.replicas:
            replica.stop()

    def log(self, command: str, *arguments: str) -> object:
        """What `sigkeep rekor log …` says."""
        line = [str(sigkeep_binary()), "rekor", "log", command, "--config", str(self.replicas[0].config), "--json", *arguments]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def key_ids(self) -> set[str]:
        """What the log's keys are known by, from the key files themselves."""
        ids = set()
        for file in self.keys:
            key = serialization.load_pem_private_key(file.read_bytes(), None).public_key()
            spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            ids.add(sha256(spki).hex())
        return ids
