"""The certificate authority's life as docs/runbooks/certificate-authority.md tells it: its own command
lines, with a real client at each step. The root is elsewhere: OpenSSL has it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from clients import Cosign3
from conftest import EMAIL
from services import Fulcio, Timestamp, trust
from stack import ROOT, sigkeep_binary
from test_ceremony import Runbook

PROGRAMS = {"fulcio-rs": "fulcio", "timestamp-rs": "timestamp"}

EXTENSIONS = """\
basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
extendedKeyUsage=codeSigning
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


class Book(Runbook):
    def run(self, start: str, names: dict[str, object], code: int = 0) -> subprocess.CompletedProcess:
        """The first line that begins so, with its placeholders replaced."""
        line = next((line for line in self.lines if line.startswith(start)), None)
        assert line, f"the runbook has no command {start}"
        self.used.add(line)
        program, *words = (str(names.get(word, word)) for word in shlex.split(line))
        command = [str(sigkeep_binary()), PROGRAMS[program], *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{line}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done


@pytest.fixture(scope="module")
def book():
    return Book(ROOT / "docs/runbooks/certificate-authority.md")


@pytest.fixture
def names(tmp_path):
    for name, secret in (("pin", "the pin"), ("root-pin", "the root's pin")):
        (tmp_path / name).write_text(secret + "\n")
    return {
        "DIR": tmp_path / "authority",
        "PIN": tmp_path / "pin",
        "ROOTPIN": tmp_path / "root-pin",
        "KEY": f"file:{tmp_path}/key-1.pem",
        "NEXTKEY": f"file:{tmp_path}/key-2.pem",
        "ROOTKEY": f"file:{tmp_path}/root.pem",
        "URL": "https://fulcio.corp.example",
    }


class RootElsewhere:
    """The root of the stack's own authority, whose certificates its CT log takes, in OpenSSL's hands."""

    def __init__(self, stack, folder: Path):
        self.data, self.folder = stack.data_dir, folder
        pem = (self.data / "certificates/fulcio-chain.pem").read_text()
        self.certificate = folder / "enterprise-root.pem"
        self.certificate.write_text("-----BEGIN" + pem.split("-----BEGIN")[-1])

    def sign(self, request: Path, extensions: str = EXTENSIONS) -> Path:
        (self.folder / "extensions").write_text(extensions)
        signed, chain = self.folder / "signed.pem", self.folder / "chain.pem"
        command = [
            "openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.data / "keys/fulcio-root.pem",
            "-passin", f"file:{self.data / 'passphrase'}", "-out", signed, "-days", "365",
            "-extfile", self.folder / "extensions",
        ]  # fmt: skip
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        chain.write_text(signed.read_text() + self.certificate.read_text())
        return chain


def test_an_authority_with_its_own_root(book, names):
    made = book.run("fulcio-rs ca init DIR --organization Corp --url URL --root-key", names).stdout
    assert "It signs from now on" in made
    status = book.run("fulcio-rs ca status DIR", names).stdout
    assert "nothing is due" in status and re.search("109[45] days left", status)
    transcript = book.run("fulcio-rs ca transcript DIR", names).stdout
    assert "root key made" in transcript and "signing key made" in transcript and "the pin" not in transcript
    # Again: nothing is overwritten.
    assert "authority already" in book.run("fulcio-rs ca init DIR --organization Corp --url URL --root-key", names, 2).stderr


@pytest.fixture
def running(book, names, stack, tmp_path):
    """Both services, with certificates that the runbook's commands made; stopped afterwards."""
    fulcio = Fulcio(tmp_path / "fulcio", stack, {})
    timestamp = Timestamp(tmp_path / "timestamp", stack, {})
    fulcio.authority, fulcio.passphrase = names["DIR"], names["PIN"]
    timestamp.passphrase = names["PIN"]
    names |= {
        "URL": fulcio.url,
        "TSAURL": f"{timestamp.url}/api/v1/timestamp",
        "TSADIR": timestamp.authority,
        "TSAKEY": f"file:{tmp_path}/tsa.pem",
        "TRUSTEDROOT": tmp_path / "trusted_root.json",
    }
    yield fulcio, timestamp
    fulcio.stop()
    timestamp.stop()


def chains(fulcio: Fulcio, wanted: int, first: str) -> None:
    """Waits until the service publishes so many chains, with this one first."""
    deadline = time.monotonic() + 20
    while True:
        published = json.loads(fulcio.get("/api/v2/trustBundle")[1])["chains"]
        if len(published) == wanted and published[0]["certificates"][0].strip() in first:
            return
        assert time.monotonic() < deadline, published
        time.sleep(0.1)


def test_a_root_elsewhere_and_a_successor_that_clients_know_before_it_signs(book, names, running, stack, artifact, tmp_path):
    fulcio, timestamp = running
    elsewhere = RootElsewhere(stack, tmp_path)
    authority = names["DIR"]

    book.run("fulcio-rs ca init DIR --organization Corp --url URL --root-elsewhere", names)
    assert "waits for its chain" in book.run("fulcio-rs ca status DIR", names, 1).stdout
    wrong = elsewhere.sign(authority / "1/request.pem", EXTENSIONS.replace("pathlen:0", "pathlen:1"))
    assert "path length" in book.run("fulcio-rs ca import", {**names, "CHAIN": wrong}, 1).stderr
    chain = elsewhere.sign(authority / "1/request.pem")
    book.run("fulcio-rs ca import", {**names, "CHAIN": chain})
    book.run("timestamp-rs chain init", names)
    book.run("timestamp-rs chain status", names)
    fulcio.start()
    timestamp.start()

    cosign = Cosign3(stack, tmp_path / "home")

    def publish(*generations: int) -> tuple[Path, Path]:
        entries = [fulcio.entry(number) for number in generations]
        return trust(stack, tmp_path, entries, [timestamp.entry()], (fulcio.url, names["TSAURL"]))

    def sign(name: str) -> Path:
        bundle = tmp_path / name
        cosign.run(
            "sign-blob", "--yes", "--identity-token", stack.token(EMAIL), "--bundle", bundle,
            "--signing-config", tmp_path / "signing_config.json", "--trusted-root", names["TRUSTEDROOT"], artifact,
        ).accepted()  # fmt: skip
        return bundle

    def verify(bundle: Path, trusted_root: Path):
        return cosign.run("verify-blob", "--bundle", bundle, "--trusted-root", trusted_root, *cosign.identity(EMAIL), artifact)

    publish(1)
    before = tmp_path / "before.json"
    before.write_bytes(names["TRUSTEDROOT"].read_bytes())
    old = sign("old.json")
    verify(old, before).accepted()
    book.run("fulcio-rs ca status DIR --trusted-root", names)

    book.run("fulcio-rs ca next", names)
    book.run("fulcio-rs ca import", {**names, "CHAIN": elsewhere.sign(authority / "2/request.pem")})
    first, second = ((authority / f"{number}/chain.pem").read_text() for number in (1, 2))
    chains(fulcio, 2, first)
    refused = book.run("fulcio-rs ca activate DIR --trusted-root TRUSTEDROOT", names, 1).stderr
    assert "does not list" in refused and "trust-root-entry.json" in refused, refused

    publish(1, 2)
    book.run("fulcio-rs ca activate DIR --trusted-root TRUSTEDROOT", names)
    chains(fulcio, 1, second)
    new = sign("new.json")
    verify(new, names["TRUSTEDROOT"]).accepted()
    verify(old, names["TRUSTEDROOT"]).accepted()
    # Had it signed before it was published, this is what clients would have said.
    verify(new, before).refused("certificate")
    assert re.search(r'authority_reloads_total\{[^}]*outcome="taken"[^}]*\} [1-9]', fulcio.metrics())
    assert 'authority_stale{service="fulcio"} 0' in fulcio.metrics()

    line = "fulcio-rs ca activate DIR --trusted-root TRUSTEDROOT --generation 1"
    book.run(line, names)
    chains(fulcio, 2, first)
    verify(sign("back.json"), before).accepted()


def test_every_command_line_of_the_runbook_was_run(book):
    """Last: the tests before it used them all."""
    assert sorted(set(book.lines) - book.used) == []
