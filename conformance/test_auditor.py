"""An auditor follows the log through load, kill -9 and a rotation, and proves all of it."""

import http.client
import os
import queue
import random
import threading
import time

import pytest

from auditor import Auditor
from rekor import Rekor, keep_posting
from replicas import Cluster

SECONDS = float(os.environ.get("AUDIT_SECONDS", "12"))
KILLS = int(os.environ.get("AUDIT_KILLS", "4"))


@pytest.fixture
def cluster(tmp_path, postgres):
    cluster = Cluster(tmp_path, postgres.create_database(f"audit_{os.getpid()}_{random.randrange(10**9)}"))
    yield cluster.start()
    cluster.stop()


def test_an_auditor_proves_every_checkpoint_and_every_acknowledged_entry(cluster):
    """Two replicas write, one after the other is killed, the log is rotated half-way."""
    auditor = Auditor(cluster.key_ids())
    acknowledged: queue.Queue = queue.Queue(maxsize=400)  # writers wait for the auditor
    failures: list[BaseException] = []
    stop = threading.Event()

    def guarded(work):
        def run():
            try:
                work()
            except BaseException as error:  # noqa: BLE001: re-raised by the test
                failures.append(error)
                stop.set()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def remember(_, status, answer):
        assert status in (201, 503), (status, answer)
        while status == 201 and not stop.is_set():
            try:
                return acknowledged.put(answer, timeout=0.2)
            except queue.Full:
                pass

    def ask(work):
        """Asks one replica after the other until one is alive."""
        for url in [replica.url for replica in cluster.replicas] * 100:
            try:
                return work(Rekor(url))
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
        raise AssertionError("no replica answers")

    indices: dict[int, str] = {}

    def audit():
        looked = 0.0
        while not (stop.is_set() and acknowledged.empty()):
            if time.monotonic() - looked > 0.5:
                ask(auditor.look)
                looked = time.monotonic()
            try:
                answer = acknowledged.get(timeout=0.2)
            except queue.Empty:
                continue
            index = ask(lambda rekor: auditor.confirm(rekor, answer))
            (entry_id,) = answer
            assert indices.setdefault(index, entry_id) == entry_id, f"two entries have the number {index}"

    threads = [guarded(lambda url=replica.url: keep_posting(url, stop, remember)) for replica in cluster.replicas for _ in range(2)]
    threads.append(guarded(audit))
    rotated = None
    for number in range(KILLS):
        stop.wait(SECONDS / KILLS)
        if stop.is_set():
            break
        if number == KILLS // 2:
            # While one of the replicas is down: it finds out when it comes back.
            replica = cluster.replicas[number % 2]
            replica.kill()
            rotated = cluster.log("rotate")
            replica.start()
        else:
            replica = cluster.replicas[number % 2]
            replica.kill()
            replica.start()
    stop.wait(1)
    stop.set()
    for thread in threads:
        thread.join(120)
    if failures:
        raise failures[0]

    ask(auditor.look)
    assert rotated["frozen"]["id"] in auditor.ended and len(auditor.trusted) == 2
    frozen, active = rotated["frozen"]["size"], auditor.trusted[rotated["active"]["id"]][0]
    assert auditor.trusted[rotated["frozen"]["id"]][0] == frozen
    assert auditor.proofs > 10 and 0 < min(indices) + 1 <= max(indices) < frozen + active
    assert any(index < frozen for index in indices) and any(index > frozen for index in indices)


def test_a_rotation_is_prepared_shown_and_listed(cluster):
    """What an operator sees before, at and after a rotation."""
    shown = cluster.log("next")
    log = shown["transparencyLog"]
    assert log["baseUrl"] == "https://localhost" and log["publicKey"]["keyDetails"] == "PKIX_ECDSA_P256_SHA_256"
    assert shown["keyId"] in cluster.key_ids() and shown["from"]["state"] == "active"
    before = cluster.log("list")
    assert [(one["state"], one["size"]) for one in before] == [("active", 0)]

    rotated = cluster.log("rotate")
    assert rotated["active"]["keyId"] == shown["keyId"] and rotated["frozen"]["id"] == before[0]["id"]
    assert [one["state"] for one in cluster.log("list")] == ["frozen", "active"]
    for replica in cluster.replicas:
        log = Rekor(replica.url).get("/api/v1/log")
        assert (log["treeID"], log["treeSize"]) == (rotated["active"]["id"], 1)
    with pytest.raises(AssertionError, match="add the next shard"):
        cluster.log("rotate")
