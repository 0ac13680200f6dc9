"""The log's law, from outside: nothing acknowledged is lost, nothing forks, a roll-back is noticed."""

import http.client
import os
import random
import shutil
import subprocess
import threading
import time

import pytest

from conftest import EMAIL
from rekor import Proposals, Rekor, check_consistency, check_entry
from stack import Stack, sigkeep_binary

ROUNDS = int(os.environ.get("KILL_ROUNDS", "50"))


class Writer(threading.Thread):
    """Posts entries until the server dies; remembers each acknowledgement."""

    def __init__(self, url: str, acknowledged: list):
        super().__init__()
        self.url = url
        self.acknowledged = acknowledged
        self.failure = None

    def run(self):
        proposals = Proposals()
        try:
            rekor = Rekor(self.url)
            while True:
                status, answer = rekor.call("POST", "/api/v1/log/entries", proposals.next())
                assert status == 201, (status, answer)
                self.acknowledged.append(answer)
        except (OSError, http.client.HTTPException):
            return  # the server was killed
        except Exception as error:  # noqa: BLE001: re-raised by the test
            self.failure = error


def test_kill_9_under_load_loses_no_acknowledged_entry(tmp_path):
    """kill -9 at random moments; after each start every acknowledged entry is proven anew."""
    stack = Stack(tmp_path / "data")
    rng = random.Random(os.environ.get("KILL_SEED", "sigkeep"))
    trusted = None
    seen: dict[int, str] = {}
    for _ in range(ROUNDS):
        stack.start()
        url = stack.endpoints["rekor"]
        acknowledged: list = []
        writers = [Writer(url, acknowledged) for _ in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(rng.uniform(0.05, 0.6))
        stack.kill()
        for writer in writers:
            writer.join(30)
            if writer.failure:
                raise writer.failure

        stack.start()
        rekor = Rekor(url)
        key = rekor.public_key()
        size, root = rekor.checkpoint()
        if trusted and trusted[0]:
            check_consistency(trusted[0], size, trusted[1], root, rekor.consistency(trusted[0], size))
        for answer in acknowledged:
            index, leaf = check_entry(answer, key)
            assert index not in seen, "two acknowledged entries have one index"
            seen[index] = leaf.hex()
            proof = next(iter(answer.values()))["verification"]["inclusionProof"]
            check_consistency(
                proof["treeSize"], size, bytes.fromhex(proof["rootHash"]), root, rekor.consistency(proof["treeSize"], size)
            )
        sample = rng.sample(sorted(seen), min(len(seen), 40)) + [next(iter(a.values()))["logIndex"] for a in acknowledged]
        for index in sample:
            found, leaf = check_entry(rekor.get(f"/api/v1/log/entries?logIndex={index}"), key)
            assert (found, leaf.hex()) == (index, seen[index])
        trusted = (size, root)
        stack.kill()
    assert len(seen) >= ROUNDS, "hardly anything was acknowledged: the test proved nothing"


def test_stopping_and_starting_keeps_tree_keys_and_trust_root(tmp_path):
    stack = Stack(tmp_path / "data").start()
    rekor = Rekor(stack.endpoints["rekor"])
    status, answer = rekor.call("POST", "/api/v1/log/entries", Proposals().next())
    assert status == 201
    entry_id = next(iter(answer))
    before = identity_of(stack)
    stack.stop()
    assert not (stack.data_dir / "endpoints.json").exists(), "endpoints.json outlived the services"
    stack.start()
    assert identity_of(stack) == before
    rekor = Rekor(stack.endpoints["rekor"])
    check_entry(rekor.get(f"/api/v1/log/entries/{entry_id}"), rekor.public_key())
    stack.stop()


def identity_of(stack: Stack) -> dict:
    """Everything that clients and auditors know a stack by."""
    rekor = Rekor(stack.endpoints["rekor"])
    log = rekor.get("/api/v1/log")
    return {
        "endpoints": stack.endpoints,
        "log": {name: log[name] for name in ("rootHash", "treeID", "treeSize")},
        "key": rekor.public_key().public_numbers(),
        "chain": stack.get("fulcio", "/api/v1/rootCert"),
        "tsa": stack.get("tsa", "/api/v1/timestamp/certchain"),
        "root": stack.get("tuf", "/1.root.json"),
        "trusted_root": stack.trust("trusted_root.json").read_bytes(),
        "trust": stack.trust("root.json").read_bytes(),
    }


def test_a_database_restored_to_an_older_state_is_refused_with_the_way_out(tmp_path):
    stack = Stack(tmp_path / "data").start()
    proposals = Proposals()

    def write():
        status, _ = Rekor(stack.endpoints["rekor"]).call("POST", "/api/v1/log/entries", proposals.next())
        assert status == 201

    write()
    stack.stop()
    databases = [file for file in stack.data_dir.rglob("*") if file.is_file() and file.read_bytes()[:15] == b"SQLite format 3"]
    assert databases, "no SQLite database under the data directory"
    backup = tmp_path / "backup"
    backup.mkdir()
    for number, file in enumerate(databases):
        shutil.copy(file, backup / str(number))
    stack.start()
    write()
    write()
    stack.stop()
    for number, file in enumerate(databases):
        for suffix in ("-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
        shutil.copy(backup / str(number), file)
    with pytest.raises(RuntimeError, match=r"(?is)ended with 1.*(older|rolled back|roll-back|restored)"):
        stack.start()


def test_two_up_on_one_data_directory_are_refused(stack):
    second = [sigkeep_binary(), "up", "--data-dir", stack.data_dir, "--free-ports"]
    done = subprocess.run([str(word) for word in second], capture_output=True, text=True, timeout=30)
    assert done.returncode in (1, 2), done
    assert "already" in done.stderr + done.stdout, done
    assert (stack.data_dir / "endpoints.json").exists(), "the refused start damaged the running stack"


def test_up_on_postgresql_signs_and_survives_a_restart(tmp_path, postgres, clients, artifact):
    stack = Stack(tmp_path / "data", "--database", postgres.create_database("up")).start()
    cosign = type(clients["cosign 3"])(stack, tmp_path / "home")
    cosign.initialize().accepted()
    bundle = tmp_path / "bundle.json"
    cosign.sign(artifact, bundle, stack.token(EMAIL)).accepted()
    stack.stop()
    stack.start()
    cosign.verify(bundle, artifact, EMAIL).accepted()
    size, _ = Rekor(stack.endpoints["rekor"]).checkpoint()
    assert size == 2  # the first entry is of `up` itself
    stack.stop()


def test_kill_9_of_the_database_server_under_load_loses_nothing(tmp_path, postgres):
    """PostgreSQL is killed (immediate shutdown) and restarted while entries are written."""
    stack = Stack(tmp_path / "data", "--database", postgres.create_database("crash")).start()
    url = stack.endpoints["rekor"]
    acknowledged: list = []
    stop = threading.Event()

    def write():
        proposals = Proposals()
        while not stop.is_set():
            try:
                status, answer = Rekor(url).call("POST", "/api/v1/log/entries", proposals.next())
                if status == 201:
                    acknowledged.append(answer)
                else:
                    assert status in (500, 503), (status, answer)
                    time.sleep(0.05)
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for _ in range(3):
        time.sleep(0.7)
        postgres.crash()
        time.sleep(0.2)
        postgres.start()
    deadline = time.monotonic() + 30
    count = len(acknowledged)
    while len(acknowledged) < count + 20:
        assert time.monotonic() < deadline, f"no writes after the database came back:\n{stack.output()}"
        time.sleep(0.1)
    stop.set()
    for writer in writers:
        writer.join(60)
    rekor = Rekor(url)
    key = rekor.public_key()
    size, root = rekor.checkpoint()
    indices = set()
    for answer in acknowledged:
        index, leaf = check_entry(answer, key)
        assert index not in indices
        indices.add(index)
        assert check_entry(rekor.get(f"/api/v1/log/entries?logIndex={index}"), key)[1] == leaf
        proof = next(iter(answer.values()))["verification"]["inclusionProof"]
        check_consistency(
            proof["treeSize"], size, bytes.fromhex(proof["rootHash"]), root, rekor.consistency(proof["treeSize"], size)
        )
    stack.stop()
