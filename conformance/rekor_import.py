"""A log of Rekor itself, with Trillian under it, is taken over: its tree, its entries, its promises.

Not part of `make test`, for it builds Rekor and Trillian first (some minutes, once):

    target/clients/python/bin/pytest conformance/rekor_import.py

The tests of kinds of entry come from another module and fill the log: here `stack` is Rekor.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients import Client
from rekor import Proposals, Rekor, check_entry
from replicas import Replica
from stack import CLIENTS, free_port, sigkeep_binary
from test_checking_and_copying import make_key

# These fill the log. Those that search need a database of their own under Rekor, and stay away.
from test_entry_kinds import (  # noqa: F401
    agrees,
    rekor_cli,
    test_alpine,
    test_cose,
    test_intoto_0_0_1,
    test_jar,
    test_rekord_minisign,
    test_rekord_x509,
    test_rfc3161_of_the_stacks_own_authority,
    test_tuf_metadata_of_the_stacks_own_repository,
)

REKOR = "github.com/sigstore/rekor/cmd/rekor-server@v1.5.4"
TRILLIAN = "github.com/google/trillian"
TRILLIAN_VERSION = "v1.7.3"


class Old:
    """Rekor with Trillian, in the PostgreSQL server of the tests."""

    def __init__(self, folder: Path, postgres):
        self.folder, self.processes = folder, []
        programs = CLIENTS / "rekor-server"
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
        make_key(folder / "old.key")
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.spawn(
            programs / "rekor-server", "serve", f"--port={port}", "--rekor_server.address=127.0.0.1",
            "--rekor_server.hostname=rekor.old.example", f"--rekor_server.signer={folder / 'old.key'}",
            "--trillian_log_server.address=127.0.0.1", f"--trillian_log_server.port={trillian}",
            "--enable_retrieve_api=false",
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/api/v1/log", timeout=5) as answer:
                    self.tree = json.load(answer)["treeID"]
                return
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


@pytest.fixture(scope="module")
def old(tmp_path_factory, postgres):
    rekor = Old(tmp_path_factory.mktemp("rekor"), postgres)
    yield rekor
    rekor.stop()


@pytest.fixture
def stack(stack, old):
    """Ours, with Rekor in the place of its log."""
    twin = copy.copy(stack)
    twin.endpoints = {**stack.endpoints, "rekor": old.url}
    return twin


def test_the_log_is_taken_over(old, postgres, tmp_path):
    proposals = [Proposals().next() for _ in range(600)]
    with ThreadPoolExecutor(16) as pool:
        posted = pool.map(lambda proposal: Rekor(old.url).call("POST", "/api/v1/log/entries", proposal), proposals)
        assert {status for status, _ in posted} == {201}
    rekor = Rekor(old.url)
    key, size = rekor.public_key(), rekor.get("/api/v1/log")["treeSize"]
    assert size > 600, "the entries of other kinds are there too"
    entries = [rekor.get(f"/api/v1/log/entries?logIndex={index}") for index in range(size)]

    make_key(tmp_path / "new.key")
    (tmp_path / "old.pem").write_bytes(urllib.request.urlopen(f"{old.url}/api/v1/log/publicKey", timeout=10).read())
    logs = (
        f"[{{kind: rekor-v1, key: 'public:{tmp_path}/old.pem', origin: rekor.old.example}}, "
        f"{{kind: rekor-v1, key: 'file:{tmp_path}/new.key'}}]"
    )
    new = Replica(tmp_path, 1, postgres.create_database("taken_over"), logs)

    def sigkeep(*words) -> str:
        command = [sigkeep_binary(), "rekor", *words, "--config", new.config]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = sigkeep("import", "--public-key", tmp_path / "old.pem", "--from", old.url)
    assert f"{size} entries" in said, said
    assert "sound" in sigkeep("fsck")
    last = Rekor(old.url).get("/api/v1/log")["signedTreeHead"]
    new.start()
    try:
        moved = Rekor(new.url)
        for before in entries:
            ((entry_id, old_entry),) = before.items()
            after = moved.get(f"/api/v1/log/entries/{entry_id}")
            ((new_id, new_entry),) = after.items()
            assert new_id == entry_id
            for member in ("body", "integratedTime", "logID", "logIndex"):
                assert new_entry[member] == old_entry[member]
            check_entry(after, key)
        shard = moved.get("/api/v1/log")["inactiveShards"][0]
        assert (shard["treeID"], shard["treeSize"]) == (old.tree, size)
        assert shard["signedTreeHead"].split("\n\n")[0] == last.split("\n\n")[0]
        # What the client remembers of Rekor, it proves against the copy.
        client = Client(None, tmp_path / "home")
        client.bin = CLIENTS / "bin/rekor-cli"
        for url in (old.url, new.url):
            client.run("loginfo", "--rekor_server", url, "--store_tree_state=false").accepted()
        for before in entries[:: size // 20]:
            client.run("get", "--rekor_server", new.url, "--uuid", next(iter(before))).accepted()
        status, created = moved.call("POST", "/api/v1/log/entries", Proposals().next())
        assert status == 201
        assert next(iter(created.values()))["logIndex"] == size, "numbers go on"
    finally:
        new.stop()
