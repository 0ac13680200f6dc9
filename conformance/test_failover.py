"""The database fails over to a standby: in step, nothing is lost; behind, nothing is signed."""

import json
import threading
import time
import urllib.error
import urllib.request

import pytest

from auditor import Auditor
from rekor import Proposals, Rekor, keep_posting
from replicas import Cluster
from stack import Address, Postgres, Standby


@pytest.fixture
def primary(tmp_path):
    primary = Postgres(tmp_path / "primary")
    yield primary
    if (primary.data / "postmaster.pid").exists():
        primary.crash()


@pytest.fixture
def standby(tmp_path, primary):
    standby = Standby(tmp_path / "standby", primary)
    yield standby
    standby.stop()


@pytest.fixture
def address(primary):
    address = Address(primary.port)
    yield address
    address.close()


@pytest.fixture
def cluster(tmp_path, primary, address):
    """Two replicas that reach the database by an address that can be moved to the standby."""
    primary.create_database("log")
    cluster = Cluster(tmp_path, f"postgres://sigkeep@127.0.0.1:{address.port}/log").start()
    yield cluster
    for replica in cluster.replicas:
        replica.kill()


def test_a_synchronous_standby_takes_over_and_nothing_is_lost(primary, standby, address, cluster):
    """The primary dies under load; the services go on with the standby, without a restart."""
    primary.wait_for_standby(synchronous=True)
    auditor = Auditor(cluster.key_ids())
    acknowledged: list[dict] = []
    failures: list[BaseException] = []
    stop = threading.Event()

    def remember(_, status, answer):
        if status == 201:
            acknowledged.append(answer)
        else:
            assert status in (500, 503), (status, answer)
            time.sleep(0.05)

    def write(url: str):
        try:
            keep_posting(url, stop, remember)
        except BaseException as error:  # noqa: BLE001: re-raised by the test
            failures.append(error)

    writers = [threading.Thread(target=write, args=(replica.url,)) for replica in cluster.replicas for _ in range(2)]
    for writer in writers:
        writer.start()
    time.sleep(1.5)
    auditor.look(Rekor(cluster.replicas[0].url))
    before = len(acknowledged)
    assert before > 20
    primary.crash()
    standby.promote()
    address.point_to(standby.port)
    deadline = time.monotonic() + 40
    while len(acknowledged) < before + 50:
        assert time.monotonic() < deadline, f"no writes after the failover:\n{cluster.replicas[0].output()}"
        time.sleep(0.1)
    stop.set()
    for writer in writers:
        writer.join(60)
    assert not failures, failures
    rekor = Rekor(cluster.replicas[1].url)
    auditor.look(rekor)
    indices = [auditor.confirm(rekor, answer) for answer in acknowledged]
    assert len(set(indices)) == len(indices)
    for replica in cluster.replicas:
        assert readiness(replica)[0] == 200


def test_a_standby_that_lagged_is_refused_and_not_signed_over(primary, standby, address, cluster):
    """An asynchronous standby without the newest entries becomes the primary."""
    primary.wait_for_standby(synchronous=False)
    rekor, proposals = Rekor(cluster.replicas[0].url), Proposals()
    write = lambda: rekor.call("POST", "/api/v1/log/entries", proposals.next())  # noqa: E731
    assert write()[0] == 201
    standby.stop()
    for _ in range(3):
        assert write()[0] == 201
    primary.crash()
    standby.start()
    standby.promote()
    stored = "SELECT size, encode(root, 'hex'), encode(signed, 'hex') FROM log WHERE state = 'active'"
    before = standby.query("log", stored)
    assert before.startswith("1|"), before
    address.point_to(standby.port)

    # The services that run notice at the next write, or when their head is asked for.
    deadline = time.monotonic() + 30
    while True:
        status, answer = write()
        if status == 500 and answer["message"] == "unexpected result from transparency log":
            break
        assert status in (500, 503) and time.monotonic() < deadline, (status, answer)
        time.sleep(0.1)
    assert cluster.replicas[0].output().count("only 1 leaves") > 0
    status, document = readiness(cluster.replicas[0])
    assert status == 503 and "replica that lagged" in json.dumps(document), document
    assert write()[0] == 500, "it stays stopped"
    # And so does one that starts anew, with the way out in its message.
    replica = cluster.replicas[0]
    replica.kill()
    assert replica.spawn().wait(30) == 1
    assert "restore the newest database" in replica.output()
    assert standby.query("log", stored) == before, "something was signed"


def readiness(replica) -> tuple[int, object]:
    try:
        with urllib.request.urlopen(f"{replica.url}/readyz", timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
