"""The TUF repository, to clients that are new and to clients that have been here before."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tuf.api.exceptions import ExpiredMetadataError, RepositoryError

from clients import run
from stack import CLIENTS, sigkeep_binary
from tuf_client import update


class Repository:
    """A repository of its own, driven by the command line, with a server."""

    def __init__(self, folder: Path, *init: str):
        self.dir = folder / "repository"
        self.root = self.dir / "published" / "root.json"
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text("a passphrase for tests\n")
        self.server: subprocess.Popen | None = None
        self.url = ""
        self.tool("init", *init, sign=True)

    def tool(self, *arguments: str | Path, sign: bool = False, code: int = 0) -> dict:
        command = [sigkeep_binary(), "tuf", *arguments, "--dir", self.dir, "--json"]
        if sign:
            command += ["--passphrase-file", self.passphrase]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout else {"error": done.stderr}

    def publish(self) -> dict:
        return self.tool("publish", sign=True)["published"]

    def serve(self) -> "Repository":
        command = [sigkeep_binary(), "tuf", "serve", "--dir", self.dir, "--json", "--no-refresh", "--listen", "127.0.0.1:0"]
        self.server = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        text = ""
        while not text.endswith("}\n"):
            line = self.server.stdout.readline()
            assert line, "the server ended"
            text += line
        self.url = json.loads(text)["listening"]
        return self

    def stop(self) -> None:
        if self.server is not None:
            self.server.terminate()
            assert self.server.wait(10) == 0


@pytest.fixture
def repository(tmp_path, stack):
    """Holds the stack's trust documents, published once."""
    made = Repository(tmp_path)
    for name in ("trusted_root.json", "signing_config.v0.2.json"):
        made.tool("target", "add", stack.trust(name))
    made.publish()
    yield made.serve()
    made.stop()


def test_python_tuf_accepts_what_up_serves(stack, tmp_path):
    for attempt in ("fresh", "warm"):
        result = update(stack.endpoints["tuf"], stack.trust("root.json"), tmp_path)
        assert {"trusted_root.json", "signing_config.v0.2.json", "rekor.pub", "ctfe.pub"} <= set(result["targets"]), attempt


def test_fresh_and_warm_clients_follow_every_version(repository, tmp_path):
    first = tmp_path / "1.root.json"
    first.write_bytes(repository.root.read_bytes())
    warm = tmp_path / "warm"
    assert update(repository.url, first, warm)["versions"] == dict.fromkeys(("root", "targets", "snapshot", "timestamp"), 1)
    for version in (2, 3, 4):
        key = tmp_path / "note.txt"
        key.write_text(f"version {version}\n")
        repository.tool("target", "add", key)
        assert repository.publish() == {"targets": version, "snapshot": version, "timestamp": version}
        seen = update(repository.url, first, warm)
        assert seen["versions"] == {"root": 1, "targets": version, "snapshot": version, "timestamp": version}
        assert update(repository.url, first, tmp_path / f"fresh-{version}") == seen
    assert repository.publish() == {}
    repository.tool("verify")
    repository.tool("verify", "--mirror", repository.url, "--root", first)


def test_every_client_takes_the_trust_root(repository, tmp_path):
    cosign = [(f"cosign {n}", [CLIENTS / f"bin/cosign{n}", "initialize", "--mirror", repository.url, "--root"]) for n in (2, 3)]
    python = [("sigstore-python", [CLIENTS / "python/bin/sigstore", "--instance", repository.url, "trust-instance"])]
    javascript = [
        (f"sigstore-js {url}", [CLIENTS / "js/node_modules/.bin/sigstore", "initialize", "--mirror", url, "--root"])
        for url in (repository.url, repository.url + "/")
    ]
    for number, (name, command) in enumerate(cosign + python + javascript):
        home = tmp_path / f"home-{number}"
        home.mkdir()
        outcome = run([*command, repository.root], home).accepted()
        assert "fallback" not in outcome.output.lower(), f"{name} fell back to something older: {outcome.output}"


def test_a_repository_that_expired_is_refused_until_it_is_refreshed(tmp_path):
    repository = Repository(tmp_path, "--expiry", "timestamp=2s")
    note = tmp_path / "note.txt"
    note.write_text("content\n")
    repository.tool("target", "add", note)
    repository.publish()
    repository.serve()
    try:
        time.sleep(2.5)
        with pytest.raises(ExpiredMetadataError):
            update(repository.url, repository.root, tmp_path / "fresh")
        assert "timestamp version 1 expired" in repository.tool("verify", code=1)["error"]
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(repository.url + "/readyz", timeout=10)
        assert repository.tool("refresh", sign=True)["published"] == {"timestamp": 2}
        update(repository.url, repository.root, tmp_path / "fresh")
    finally:
        repository.stop()


def test_a_changed_target_is_refused(repository, tmp_path):
    [file] = (repository.dir / "published" / "targets").glob("*.signing_config.v0.2.json")
    file.write_bytes(file.read_bytes().replace(b"operator", b"0perator"))
    with pytest.raises(RepositoryError):
        update(repository.url, repository.root, tmp_path / "fresh")
    assert "signing_config.v0.2.json" in repository.tool("verify", code=1)["error"]
    assert "nothing was changed" in repository.tool("publish", sign=True, code=2)["error"]
