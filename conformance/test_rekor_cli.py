"""rekor-cli uploads, gets, verifies, searches and audits."""

import json
import subprocess

import pytest

from clients import Client, run
from replicas import Cluster
from stack import CLIENTS


@pytest.fixture
def rekor_cli(stack, tmp_path):
    client = Client(stack, tmp_path / "home")
    client.bin = CLIENTS / "bin/rekor-cli"

    def call(command, *arguments):
        return client.run(command, "--rekor_server", stack.endpoints["rekor"], "--format", "json", *arguments)

    return call


@pytest.fixture
def signed(artifact, tmp_path):
    """A file, its detached signature and the public key."""
    openssl_key = tmp_path / "plain.pem"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", openssl_key], check=True)
    subprocess.run(["openssl", "ec", "-in", openssl_key, "-pubout", "-out", tmp_path / "public.pem"], check=True, capture_output=True)
    subprocess.run(["openssl", "dgst", "-sha256", "-sign", openssl_key, "-out", tmp_path / "sig", artifact], check=True)
    return artifact, tmp_path / "sig", tmp_path / "public.pem"


def test_rekor_cli_uploads_gets_verifies_and_finds_an_entry(rekor_cli, signed):
    artifact, signature, key = signed
    what = ["--type", "hashedrekord", "--artifact", artifact, "--signature", signature, "--pki-format", "x509", "--public-key", key]
    uploaded = json.loads(rekor_cli("upload", *what).accepted().output)
    location = uploaded["Location"]
    entry_id = location.rsplit("/", 1)[1]
    assert len(entry_id) == 80

    got = json.loads(rekor_cli("get", "--uuid", entry_id).accepted().output)
    assert got["UUID"][-64:] == entry_id[-64:]
    verified = json.loads(rekor_cli("verify", *what).accepted().output)
    assert verified["EntryUUID"][-64:] == entry_id[-64:]
    again = json.loads(rekor_cli("upload", *what).accepted().output)
    assert again["AlreadyExists"] and again["Location"] == location

    found = rekor_cli("search", "--artifact", artifact).accepted().output
    assert entry_id in found
    found = rekor_cli("search", "--pki-format", "x509", "--public-key", key).accepted().output
    assert entry_id in found


def test_rekor_cli_checks_consistency_as_the_log_grows(rekor_cli, signed):
    first = log_info(rekor_cli)
    artifact, signature, key = signed
    rekor_cli(
        "upload", "--type", "hashedrekord", "--artifact", artifact, "--signature", signature, "--pki-format", "x509", "--public-key", key
    ).accepted()
    second = log_info(rekor_cli)
    assert sizes(second) > sizes(first)
    rekor_cli("logproof", "--last-size", str(sizes(second))).accepted()


@pytest.fixture
def cluster(tmp_path, postgres):
    cluster = Cluster(tmp_path, postgres.create_database("rekor_cli"), replicas=1)
    yield cluster.start()
    cluster.stop()


def test_rekor_cli_follows_the_log_over_restarts_and_a_rotation(cluster, tmp_path):
    """Its own state file, kept in its home, proves each checkpoint against the one before."""
    (replica,) = cluster.replicas
    home = tmp_path / "home"
    home.mkdir()
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", tmp_path / "key"], check=True)
    subprocess.run(["openssl", "ec", "-in", tmp_path / "key", "-pubout", "-out", tmp_path / "pub"], check=True, capture_output=True)

    def rekor_cli(command, *arguments):
        line = [CLIENTS / "bin/rekor-cli", command, "--rekor_server", replica.url, "--format", "json", *arguments]
        return run(line, home)

    def entry(number):
        artifact, signature = tmp_path / f"artifact-{number}", tmp_path / f"signature-{number}"
        if not signature.exists():  # another signature would be another entry
            artifact.write_text(f"artifact {number}\n")
            subprocess.run(["openssl", "dgst", "-sha256", "-sign", tmp_path / "key", "-out", signature, artifact], check=True)
        what = ["--type", "hashedrekord", "--artifact", artifact, "--signature", signature]
        return [*what, "--pki-format", "x509", "--public-key", tmp_path / "pub"]

    def upload(number):
        return json.loads(rekor_cli("upload", *entry(number)).accepted().output)["Location"].rsplit("/", 1)[1]

    def restart():
        replica.kill()
        replica.start()

    old = [upload(number) for number in range(3)]
    assert sizes(log_info(rekor_cli)) == 3
    state = home / ".rekor/state.json"
    remembered = state.read_text()
    upload(3)
    restart()
    assert sizes(log_info(rekor_cli)) == 4
    assert state.read_text() != remembered, "the client did not keep its state"
    rekor_cli("logproof", "--last-size", "4").accepted()

    rotated = cluster.log("rotate")
    first, second = rotated["frozen"]["id"], rotated["active"]["id"]
    for _ in range(2):
        info = log_info(rekor_cli)
        assert (info["TreeID"], info["ActiveTreeSize"], info["TotalTreeSize"]) == (second, 1, 5)
        restart()
    new = upload(0)
    assert new[16:] == old[0][16:] and new[:16] != old[0][:16]
    assert sizes(log_info(rekor_cli)) == 2
    rekor_cli("logproof", "--last-size", "2").accepted()
    rekor_cli("logproof", "--first-size", "2", "--last-size", "4", "--tree-id", first).accepted()
    upload(4)
    for number in (1, 4):  # one of each shard; of an entry that is in both, this client finds too many
        rekor_cli("verify", *entry(number)).accepted()
    for index, entry_id in [(0, old[0]), (2, old[2]), (5, new)]:
        got = json.loads(rekor_cli("get", "--log-index", str(index)).accepted().output)
        assert (got["LogIndex"], got["UUID"][-64:]) == (index, entry_id[-64:])


def log_info(rekor_cli):
    """The first line is the answer; a note about the stored state may follow."""
    return json.loads(rekor_cli("loginfo").accepted().output.splitlines()[0])


def sizes(info):
    return int(info.get("ActiveTreeSize", info.get("TotalTreeSize")))
