"""Several processes sequence one log on one PostgreSQL: they never sign two roots for one size."""

import http.client
import threading
import time

import pytest

from rekor import Rekor, check_consistency, check_entry, keep_posting, verified_checkpoint
from replicas import Cluster

SECONDS = 6


@pytest.fixture
def replicas(tmp_path, postgres):
    cluster = Cluster(tmp_path, postgres.create_database("replicas")).start()
    yield cluster.replicas
    cluster.stop()


def test_two_processes_on_one_database_never_sign_two_roots_for_one_size(replicas):
    """Both write under load, one is killed and returns; every signed head anybody saw is compared."""
    key = Rekor(replicas[0].url).public_key()
    roots: dict[int, bytes] = {}
    acknowledged: list[dict] = []
    failures: list[BaseException] = []
    lock = threading.Lock()
    stop = threading.Event()

    def see(size: int, root: bytes) -> None:
        with lock:
            assert roots.setdefault(size, root) == root, f"two roots were signed for size {size}"

    def examine(rekor: Rekor, status: int, answer: dict) -> None:
        assert status in (201, 503), (status, answer)
        if status == 201:
            check_entry(answer, key)
            ((entry_id, entry),) = answer.items()
            see(*verified_checkpoint(entry["verification"]["inclusionProof"]["checkpoint"], key))
            with lock:
                acknowledged.append(answer)
        try:
            see(*rekor.checkpoint())
        except (OSError, http.client.HTTPException):
            pass  # it was killed; the next post finds out

    def write(url: str) -> None:
        try:
            keep_posting(url, stop, examine)
        except BaseException as error:  # noqa: BLE001: re-raised by the test
            failures.append(error)

    writers = [threading.Thread(target=write, args=(replica.url,)) for replica in replicas for _ in range(3)]
    for writer in writers:
        writer.start()
    for _ in range(2):
        time.sleep(SECONDS / 3)
        replicas[1].kill()
        replicas[1].start()
    time.sleep(SECONDS / 3)
    stop.set()
    for writer in writers:
        writer.join(60)
    if failures:
        raise failures[0]

    first = Rekor(replicas[0].url)
    size, root = first.checkpoint()
    assert len(acknowledged) > 50 and size >= len(acknowledged)
    indices = set()
    for answer in acknowledged:
        index, leaf = check_entry(answer, key)
        assert index not in indices
        indices.add(index)
    for answer in acknowledged[:: max(1, len(acknowledged) // 50)]:
        index, leaf = check_entry(answer, key)
        assert check_entry(first.get(f"/api/v1/log/entries?logIndex={index}"), key)[1] == leaf
    seen = sorted(roots)
    for old in seen[:: max(1, len(seen) // 50)]:
        if old:
            check_consistency(old, size, roots[old], root, first.consistency(old, size))
