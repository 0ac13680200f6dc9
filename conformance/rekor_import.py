"""A log of Rekor itself, with Trillian under it, is taken over: its tree, its entries, its promises.

Not part of `make test`, for it builds Rekor and Trillian first (some minutes, once):

    target/clients/python/bin/pytest conformance/rekor_import.py

The tests of kinds of entry come from another module and fill the log: here `stack` is Rekor.
"""

from __future__ import annotations

import copy
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from clients import Client
from rekor import Proposals, Rekor, check_entry
from rekor_server import RekorServer
from replicas import Replica
from stack import CLIENTS, make_key, sigkeep_binary

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


@pytest.fixture(scope="module")
def old(tmp_path_factory, postgres):
    rekor = RekorServer(tmp_path_factory.mktemp("rekor"), postgres, hostname="rekor.old.example")
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
