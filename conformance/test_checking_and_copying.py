"""docs/checking-and-copying.md: a log is checked, exported, verified and imported by its command lines, and
rekor-cli verifies what it logged before the move against the copy, which has only the key's public half."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import urllib.request

import pytest

from clients import Client
from replicas import Replica
from stack import CLIENTS, ROOT, make_key, sigkeep_binary


class Page:
    """The command lines of the page, and which of them were run."""

    def __init__(self):
        text = (ROOT / "docs/checking-and-copying.md").read_text()
        blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        self.lines = [line for block in blocks for line in block.splitlines() if line]
        self.used: set[str] = set()

    def run(self, start: str, cwd, code: int = 0, **names: str) -> str:
        line = next((line for line in self.lines if re.match(start, line)), None)
        assert line, f"the page has no command {start}"
        self.used.add(line)
        words = [re.sub(r"\b(ID|URL)\b", lambda m: names[m[0]], word) for word in shlex.split(line)[1:]]
        command = [str(sigkeep_binary()), "rekor", *words]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def rekor_cli(stack, tmp_path):
    client = Client(stack, tmp_path / "home")
    client.bin = CLIENTS / "bin/rekor-cli"
    return lambda url, command, *rest: client.run(
        command, "--rekor_server", url, "--store_tree_state=false", "--format", "json", *rest
    )


def upload(rekor_cli, url, tmp_path, number):
    """Signs a file with openssl and logs it; returns what rekor-cli needs to verify it, and its id."""
    artifact, key = tmp_path / f"artifact-{number}", tmp_path / f"key-{number}.pem"
    signature, public = tmp_path / f"sig-{number}", tmp_path / f"public-{number}.pem"
    artifact.write_text(f"artifact {number}\n")
    for command in (
        ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key],
        ["ec", "-in", key, "-pubout", "-out", public],
        ["dgst", "-sha256", "-sign", key, "-out", signature, artifact],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True)
    what = ["--type", "hashedrekord", "--artifact", artifact, "--signature", signature, "--pki-format", "x509", "--public-key", public]
    uploaded = json.loads(rekor_cli(url, "upload", *what).accepted().output)
    return what, uploaded["Location"].rsplit("/", 1)[1]


def test_a_log_moves_by_the_commands_of_the_page_and_rekor_cli_verifies_it_where_its_key_is_not(rekor_cli, postgres, tmp_path):
    page = Page()
    source = tmp_path / "source"
    source.mkdir()
    make_key(source / "old.key")
    old = serve(tmp_path, 1, postgres.create_database("moving"), "[{kind: rekor-v1, key: 'file:%s'}]" % (source / "old.key"))
    logged = [upload(rekor_cli, old.url, tmp_path, number) for number in range(3)]
    tree = int(logged[0][1][:16], 16)
    pem = urllib.request.urlopen(f"{old.url}/api/v1/log/publicKey").read()
    checkpoint = json.loads(urllib.request.urlopen(f"{old.url}/api/v1/log").read())["signedTreeHead"]
    for folder in (source, tmp_path):
        (folder / "log.pem").write_bytes(pem)
    old.config.rename(source / "rekor.yaml")

    # Beside the running service.
    assert "sound" in page.run(r".* fsck --config rekor.yaml$", source)
    report = json.loads(page.run(r".* fsck .*--state", source))
    assert report["ok"] and report["logs"][0]["size"] == 3
    page.run(r".* fsck .*--repair-index", source)
    page.run(r".* export ", source)
    page.run(r".* verify-export", source, ID=str(tree))
    assert (source / "exports" / str(tree) / "checkpoint").read_text() == checkpoint

    # One copy over the API, another from the export.
    for number, start in ((2, r".* import .*--from"), (3, r".* import .*exports/ID")):
        copy = tmp_path / f"copy-{number}"
        copy.mkdir()
        (copy / "log.pem").write_bytes(pem)
        if number == 3:
            (source / "exports").rename(copy / "exports")
        make_key(copy / "new.key")
        logs = f"[{{kind: rekor-v1, key: 'public:{copy}/log.pem'}}, {{kind: rekor-v1, key: 'file:{copy}/new.key'}}]"
        new = Replica(tmp_path, number, postgres.create_database(f"moved_{number}"), logs)
        (copy / "rekor.yaml").write_text(new.config.read_text())
        said = page.run(start, copy, ID=str(tree), URL=old.url)
        assert "3 entries" in said and pem.decode() in said
        page.run(r".* fsck --config rekor.yaml$", copy)
        if number == 2:
            old.stop()
        new.start()
        try:
            with urllib.request.urlopen(f"{new.url}/api/v1/log/publicKey?treeID={tree}", timeout=10) as key:
                assert key.read() == pem
            for what, entry_id in logged:
                got = json.loads(rekor_cli(new.url, "get", "--uuid", entry_id).accepted().output)
                assert got["UUID"][-64:] == entry_id[-64:]
                verified = json.loads(rekor_cli(new.url, "verify", *what).accepted().output)
                assert verified["EntryUUID"] == entry_id
                found = rekor_cli(new.url, "search", "--artifact", what[3]).accepted().output
                assert entry_id in found
            _, after = upload(rekor_cli, new.url, tmp_path, 10 + number)
            assert int(after[:16], 16) != tree
            index = json.loads(rekor_cli(new.url, "get", "--uuid", after).accepted().output)["LogIndex"]
            assert index == 3, "numbers go on over the imported shard"
        finally:
            new.stop()
    assert page.used == set(page.lines), "every command of the page was run"


def serve(folder, number, database, logs) -> Replica:
    """A service of its own with these logs, which it creates."""
    return Replica(folder, number, database, logs).start()
