"""rekor-cli uploads, gets, verifies, searches and audits."""

import json
import subprocess

import pytest

from clients import Client
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


def log_info(rekor_cli):
    """The first line is the answer; a note about the stored state may follow."""
    return json.loads(rekor_cli("loginfo").accepted().output.splitlines()[0])


def sizes(info):
    return int(info.get("ActiveTreeSize", info.get("TotalTreeSize")))
