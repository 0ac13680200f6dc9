"""The trust root's life as docs/runbooks/trust-root.md tells it: its own command lines, real clients.

Keyholders have data directories of their own; only request and signature files go between them and
the repository.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tuf.api.exceptions import RepositoryError

from clients import run
from stack import CLIENTS, ROOT, sigkeep_binary
from tuf_client import update

ROLES = ("root", "targets", "snapshot", "timestamp")
HOLDERS = ("ann", "ben", "cho")


def program() -> list[str]:
    """The program under test: $TUF_ROOT, or what `make` builds."""
    return [os.environ["TUF_ROOT"]] if "TUF_ROOT" in os.environ else [str(sigkeep_binary()), "tuf"]


class Runbook:
    """The command lines of the runbook, and which of them were run."""

    def __init__(self, file: Path):
        blocks = re.findall(r"```sh\n(.*?)```", file.read_text(), re.DOTALL)
        self.lines = [line for block in blocks for line in block.splitlines() if line]
        self.used: set[str] = set()

    def command(self, start: str, names: dict[str, str | Path], exact: bool = False) -> list[str]:
        """The first line that begins so (or, if exact, is so), with its placeholders replaced."""
        start = start if start.startswith("sigkeep ") else "tuf-root " + start
        line = next((line for line in self.lines if line == start or not exact and line.startswith(start)), None)
        assert line, f"the runbook has no command {start}"
        self.used.add(line)
        words = shlex.split(line)[1:]
        for name, value in names.items():
            words = [re.sub(rf"(?<![\w-]){re.escape(name)}(?!\w)", lambda _: str(value), word) for word in words]
        return words


@pytest.fixture(scope="module")
def book():
    return Runbook(ROOT / "docs/runbooks/trust-root.md")


class Holder:
    """A keyholder's machine: a directory with a key, and a home that remembers what was signed."""

    uri = "file:ann.pem"

    def __init__(self, name: str, folder: Path, book: Runbook):
        self.name, self.home, self.book = name, folder / name, book
        self.home.mkdir(parents=True)
        (self.home / "passphrase").write_text(f"the passphrase of {name}\n")
        self.names: dict[str, str | Path] = {}

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": os.environ["PATH"]}

    def run(self, start: str, *more: str, code: int = 0) -> subprocess.CompletedProcess:
        command = self.book.command(start, {"PASSPHRASE": "passphrase", "ann": self.name, **self.names})
        made_by = [str(sigkeep_binary())] if start.startswith("sigkeep ") else program()
        command = [*made_by, *(word for word in command if not word.endswith(".request.json")), *more]
        environment = self.environment()
        done = subprocess.run(command, cwd=self.home, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done

    def claim(self) -> Path:
        self.run(f"key claim --key {self.uri}")
        return self.home / f"{self.name}.claim.json"

    def keyid(self) -> str:
        return json.loads((self.home / f"{self.name}.claim.json").read_text())["keyid"]

    def sign(self, *requests: Path, more: tuple[str, ...] = (), code: int = 0) -> list[Path]:
        """Carries the requests over, signs them, and returns the signatures."""
        (self.home / "signatures").mkdir(exist_ok=True)
        carried = [Path(shutil.copy(request, self.home)).name for request in requests]
        done = self.run(f"sign root.request.json targets.request.json --key {self.uri}", *carried, "--yes", "--json", *more, code=code)
        if code:
            return [done.stderr]
        return [self.home / file for file in json.loads(done.stdout)["files"]]


class TokenHolder(Holder):
    """A keyholder whose key is made in a token of their own and never leaves it."""

    uri = "'pkcs11:token=ann"

    def __init__(self, name: str, folder: Path, book: Runbook):
        super().__init__(name, folder, book)
        (self.home / "tokens").mkdir()
        (self.home / "softhsm2.conf").write_text(f"directories.tokendir = {self.home / 'tokens'}\nobjectstore.backend = file\n")
        (self.home / "pin").write_text("1234\n")
        self.names = {"MODULE": softhsm(), "PIN": self.home / "pin"}
        token = ["softhsm2-util", "--init-token", "--free", "--label", name, "--pin", "1234", "--so-pin", "5678"]
        subprocess.run(token, env=self.environment(), check=True, capture_output=True, timeout=30)
        self.run("sigkeep key create")

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "SOFTHSM2_CONF": str(self.home / "softhsm2.conf")}


def softhsm() -> Path:
    """SoftHSM's module, where Debian puts it, or $SOFTHSM2_MODULE."""
    candidates = [os.environ.get("SOFTHSM2_MODULE", ""), "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"]
    found = [Path(candidate) for candidate in candidates if candidate and Path(candidate).exists()]
    assert found, "SoftHSM was not found: `make tools` installs it"
    return found[0]


class Server:
    """The repository's machine."""

    def __init__(self, folder: Path, book: Runbook):
        self.folder, self.book = folder, book
        folder.mkdir(parents=True)
        self.dir = folder / "repository"
        (folder / "passphrase").write_text("the passphrase of the server\n")
        self.process: subprocess.Popen | None = None
        self.url = ""

    def call(self, start: str, names: dict[str, str | Path] | None = None, code: int = 0, exact: bool = False) -> dict:
        names = {"DIR": self.dir, "PASSPHRASE": self.folder / "passphrase", **(names or {})}
        command = [*program(), *self.book.command(start, names, exact), "--json"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout else {"error": done.stderr}

    def export(self, role: str) -> Path:
        self.call(f"payload export {role}")
        return self.folder / f"{role}.request.json"

    def take(self, *files: Path) -> None:
        """Carries signatures back, one or two of them."""
        one, other = (f"signatures/{role}-1.KEYID.signature.json" for role in ("root", "targets"))
        self.call("signature import", {one: files[0], other: files[-1]})

    def publish(self) -> dict:
        """Rehearses, then publishes."""
        signed = "publish --dir DIR --passphrase-file PASSPHRASE"
        assert self.call(f"{signed} --dry-run")["accepted_by"]
        return self.call(signed, exact=True)["published"]

    def serve(self) -> "Server":
        command = [*program(), "serve", "--dir", self.dir, "--json", "--no-refresh", "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
        text = ""
        while not text.endswith("}\n"):
            line = self.process.stdout.readline()
            assert line, "the server ended"
            text += line
        self.url = json.loads(text)["listening"]
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(10) == 0


class Watchers:
    """Clients that have been here since the first root, and new ones at every step."""

    def __init__(self, server: Server, folder: Path):
        self.server, self.folder, self.steps = server, folder, 0
        self.first = server.dir / "roots" / "1.root.json"
        folder.mkdir()

    def look(self) -> dict:
        """Every client must accept what is published; returns the versions."""
        self.steps += 1
        seen = update(self.server.url, self.first, self.folder / "warm")
        for root in sorted((self.server.dir / "roots").glob("*.root.json")):
            fresh = update(self.server.url, root, self.folder / f"fresh-{self.steps}-{root.stem}")
            assert fresh == seen, root
        javascript = CLIENTS / "js/node_modules/.bin/sigstore"
        for name, home in (("cosign3", f"cosign3-{self.steps}"), ("cosign2", f"cosign2-{self.steps}"), ("js", "js-warm"), ("js", f"js-{self.steps}")):
            home = self.folder / home
            home.mkdir(exist_ok=True)
            command = [javascript] if name == "js" else [CLIENTS / "bin" / name]
            outcome = run([*command, "initialize", "--mirror", self.server.url, "--root", self.first], home).accepted()
            assert "fallback" not in outcome.output.lower(), outcome.output
        return seen["versions"]


class Ceremony:
    """A repository that two of three people signed."""

    def __init__(self, folder: Path, book: Runbook, stack, machine: type[Holder] = Holder):
        self.book, self.folder = book, folder
        self.server = Server(folder / "server", book)
        self.holders = {name: machine(name, folder, book) for name in HOLDERS}
        self.server.call("init")
        for name, holder in self.holders.items():
            holder.claim()
            shutil.copy(holder.home / f"{name}.claim.json", self.server.folder)
            self.server.call("key import", {"ann": name})
        listed = self.server.call("key list")["keys"]
        assert sorted(key["owner"] for key in listed if key["role"] == "root") == sorted(HOLDERS)
        for name in ("trusted_root.json", "signing_config.v0.2.json"):
            shutil.copy(stack.trust(name), self.server.folder)
            self.server.call(f"target add --dir DIR {name}")
        self.server.call("stage root")
        staged = self.server.call("stage targets")
        assert any("accept the transparency log" in line for line in staged["summary"]), staged
        assert self.server.call("diff")["changes"]
        requests = [self.server.export(role) for role in ("root", "targets")]
        self.server.take(*self.holders["ann"].sign(*requests))
        refused = self.server.call("publish", code=2)["error"]
        typed = "tuf-root" if "TUF_ROOT" in os.environ else "sigkeep tuf"
        assert "1 of 2" in refused and f"`{typed} sign`" in refused, refused
        self.server.take(*self.holders["cho"].sign(*requests))
        assert self.server.publish() == dict.fromkeys(ROLES, 1)
        self.server.serve()
        self.watchers = Watchers(self.server, folder / "clients")
        assert self.watchers.look() == dict.fromkeys(ROLES, 1)

    def sign(self, role: str, *who: str) -> None:
        request = self.server.export(role)
        for name in who:
            self.server.take(*self.holders[name].sign(request))

    def newcomer(self, name: str) -> Holder:
        holder = self.holders[name] = Holder(name, self.folder, self.book)
        shutil.copy(holder.claim(), self.server.folder)
        return holder


@pytest.fixture
def ceremony(tmp_path, book, stack):
    made = Ceremony(tmp_path, book, stack)
    yield made
    made.server.stop()


def test_two_of_three_people_make_a_root_by_files_only(ceremony):
    server = ceremony.server
    assert not list((server.dir / "keys").glob("root*")), "no root key was ever on the server"
    server.call("verify")
    assert server.call("verify --dir DIR --at", {"2026-12-01T00:00:00Z": "2150-01-01T00:00:00Z"}, code=1)["ok"] is False
    assert server.call("verify --dir DIR --within")["ok"] is True
    assert server.call("status")["phase"] == "live"
    assert server.call("refresh")["published"] == {}
    lines = server.call("transcript")["lines"]
    assert sum("held by ann, over root version 1" in line for line in lines) == 1
    assert not any("held by ben, over" in line for line in lines)
    # The yearly renewal, signed by the one who did not sign last time.
    assert "the same keys and thresholds: only a longer validity" in server.call("stage root")["summary"]
    ceremony.sign("root", "ben", "ann")
    assert server.publish() == {"root": 2}
    assert ceremony.watchers.look()["root"] == 2


def test_two_of_three_tokens_make_a_root_by_export_and_import_only(tmp_path, book, stack):
    made = Ceremony(tmp_path, book, stack, TokenHolder)
    server = made.server
    try:
        server.call("verify")
        assert not list((server.dir / "keys").glob("root*")) and not list((server.dir / "keys").glob("targets*"))
        assert all(not list(holder.home.glob("*.pem")) for holder in made.holders.values()), "a key was outside its token"
        lines = server.call("transcript")["lines"]
        for name, signed in (("ann", True), ("ben", False), ("cho", True)):
            assert any(f"held by {name}, to root and targets" in line for line in lines), name
            assert any(f"held by {name}, over root version 1" in line for line in lines) == signed, name
        # One public key counts once, whatever form it comes in.
        again = server.call("key import --dir DIR --role root --role targets", {"ann": "ben"}, code=2)["error"]
        assert "already (held by ben)" in again, again
        pem = server.folder / "ben.pem"
        listed = json.loads((server.dir / "published/1.root.json").read_text())["signed"]["keys"]
        pem.write_text(listed[made.holders["ben"].keyid()]["keyval"]["public"].rstrip("\n") + "\n\n")
        again = server.call("key add --dir DIR --role root --pem", {"ann": "mallory", "holder.pem": pem}, code=2)["error"]
        assert "already (held by ben)" in again, again
        # The yearly renewal, with the token that rested.
        server.call("stage root")
        made.sign("root", "ben", "ann")
        assert server.publish() == {"root": 2}
        assert made.watchers.look()["root"] == 2
    finally:
        server.stop()


def test_a_keyholder_refuses_what_was_changed_on_the_way(ceremony):
    server, ann = ceremony.server, ceremony.holders["ann"]
    server.call("stage root")
    request = server.export("root")
    content = json.loads(request.read_text())
    content["summary"] = ["nothing that matters"]
    changed = ann.home / "changed.request.json"
    changed.write_text(json.dumps(content))
    carried = changed.rename(ceremony.folder / "changed.request.json")
    assert "the summary differs" in ann.sign(carried, code=2)[0]
    assert "--max-expiry" in ann.sign(request, more=("--max-expiry", "30d"), code=2)[0]
    ann.sign(request)
    server.call("stage targets")
    server.call("unstage targets")
    assert "nothing is staged" in server.call("payload export targets", code=2)["error"]


def test_root_keys_rotate_with_both_quorums(ceremony):
    server = ceremony.server
    ceremony.newcomer("dee")
    gone = ceremony.holders["cho"].keyid()
    staged = server.call("rotate root", {"KEYID": gone})
    assert f"root: clients will no longer accept key {gone}" in staged["summary"]
    # Enough of the new keys, too few of the old ones.
    ceremony.sign("root", "ann", "dee")
    assert "of 2 signatures" in server.call("publish", code=2)["error"]
    ceremony.sign("root", "ben")
    assert server.publish() == {"root": 2}
    assert ceremony.watchers.look()["root"] == 2
    # Targets keys follow: both quorums sign the targets as well.
    (server.folder / "dee.claim.json").rename(server.folder / "targets.claim.json")
    server.call("key import --dir DIR --role root --role targets", {"ann": "targets"}, code=2)
    server.call("key remove", {"KEYID": gone})
    server.call("stage root")
    server.call("stage targets")
    for role in ("root", "targets"):
        ceremony.sign(role, "ann", "ben")
    assert server.publish()["targets"] == 2
    assert ceremony.watchers.look() == {"root": 3, "targets": 2, "snapshot": 2, "timestamp": 2}


def test_the_next_key_of_a_service_is_published_and_the_old_one_ends(ceremony):
    server = ceremony.server
    [old] = server.call("rotate service rekor --dir DIR", exact=True)["entries"]
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    (server.folder / "next.pub").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    end = {"FINGERPRINT": old["fingerprint"], "2026-12-01T00:00:00Z": "2041-01-01T00:00:00Z"}
    assert "publish the next one first" in server.call("rotate service rekor --dir DIR --end", end, code=2)["error"]
    for start, names in (("rotate service rekor --dir DIR --next", {}), ("rotate service rekor --dir DIR --end", end)):
        entries = server.call(start, names)["entries"]
        assert [entry["fingerprint"] == old["fingerprint"] for entry in entries] == [True, False]
        server.call("stage targets")
        ceremony.sign("targets", "ann", "cho")
        server.publish()
    assert ceremony.watchers.look()["targets"] == 3
    # The hour that clocks and clients differ by.
    assert entries[0]["end"] == "2041-01-01T01:00:00Z" and "end" not in entries[1]


def test_online_keys_rotate_while_clients_look(ceremony, tmp_path):
    server = ceremony.server
    old = json.loads((server.dir / "published/timestamp.json").read_text())["signatures"][0]["keyid"]
    assert "root" in server.call("rotate online")["waiting"]
    assert ceremony.watchers.look() == dict.fromkeys(ROLES, 1)
    ceremony.sign("root", "ben", "cho")
    stop, looks, refusals = threading.Event(), [], []

    def look() -> None:
        while not stop.is_set():
            try:
                looks.append(update(server.url, ceremony.watchers.first, tmp_path / "looking"))
            except Exception as error:  # noqa: BLE001
                refusals.append(error)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        done = server.call("rotate online")["published"]
    finally:
        stop.set()
        looker.join()
    assert looks and not refusals, refusals
    assert done == {"root": 2, "snapshot": 2, "timestamp": 2}
    assert ceremony.watchers.look() == {"root": 2, "targets": 1, "snapshot": 2, "timestamp": 2}
    # The old key's signature stays for clients that are half-way, until a refresh some minutes later.
    assert server.call("refresh")["published"] == {}
    signers = [s["keyid"] for s in json.loads((server.dir / "published/timestamp.json").read_text())["signatures"]]
    assert len(signers) == 2 and old in signers


def test_a_stolen_online_key_is_replaced_and_its_versions_are_forgotten(ceremony, tmp_path, book):
    server = ceremony.server
    thief = Server(tmp_path / "thief", book)
    shutil.copytree(server.dir, thief.dir)
    shutil.copy(server.folder / "passphrase", thief.folder)
    thief.call("recover --dir DIR --seen", {"1234": "1000000"})
    thief.call("refresh")
    thief.serve()
    try:
        victim = tmp_path / "victim"
        assert update(thief.url, ceremony.watchers.first, victim)["versions"]["timestamp"] == 1000001
        with pytest.raises(RepositoryError):
            update(server.url, ceremony.watchers.first, victim)
        assert "root" in server.call("revoke online")["waiting"]
        ceremony.sign("root", "ann", "cho")
        server.call("revoke online")
        healed = update(server.url, ceremony.watchers.first, victim)["versions"]
        assert healed == ceremony.watchers.look()
        assert (healed["root"], healed["timestamp"] < 10) == (2, True)
        # What the thief signs is refused from now on.
        with pytest.raises(RepositoryError):
            shutil.copy(server.dir / "published/2.root.json", thief.dir / "published/2.root.json")
            update(thief.url, ceremony.watchers.first, tmp_path / "other")
    finally:
        thief.stop()


def test_changed_content_is_checked_against_the_past_before_anybody_signs(ceremony, clients, stack, tmp_path):
    server, artifact, past = ceremony.server, tmp_path / "artifact.txt", tmp_path / "past"
    artifact.write_text("a release\n")
    past.mkdir()
    clients["cosign 3"].sign(artifact, past / "release.sigstore.json", stack.token("dev@corp.example")).accepted()
    trusted = json.loads((server.folder / "trusted_root.json").read_text())
    honest = json.dumps(trusted)
    period = trusted["tlogs"][0]["publicKey"]["validFor"]
    period["end"] = period["start"]
    (server.folder / "trusted_root.json").write_text(json.dumps(trusted))
    server.call("target add --dir DIR trusted_root.json")
    [stopped] = server.call("rotate --check", {"BUNDLES": past}, code=1)["report"]["stopped"]
    assert stopped["bundle"].endswith("release.sigstore.json") and "is trusted from" in stopped["reason"]
    (server.folder / "trusted_root.json").write_text(honest + "\n")
    server.call("target add --dir DIR trusted_root.json")
    assert server.call("rotate --check", {"BUNDLES": stack.endpoints["rekor"]})["ok"] is True
    server.call("stage targets")
    ceremony.sign("targets", "ann", "ben")
    published = server.call("publish --dir DIR --passphrase-file PASSPHRASE --check", {"BUNDLES": past})
    assert published["published"]["targets"] == 2 and "1 past bundles" in published["accepted_by"][-1]
    assert ceremony.watchers.look()["targets"] == 2


def test_a_restored_backup_goes_on_beyond_the_live_mirror(ceremony, tmp_path, book):
    server, watchers = ceremony.server, ceremony.watchers
    backup = tmp_path / "backup"
    shutil.copytree(server.dir, backup)
    server.call("stage root")
    ceremony.sign("root", "ann", "ben")
    server.publish()
    (server.folder / "signing_config.v0.2.json").write_bytes((server.folder / "signing_config.v0.2.json").read_bytes() + b"\n")
    server.call("target add --dir DIR signing_config.v0.2.json")
    server.call("stage targets")
    ceremony.sign("targets", "ann", "ben")
    server.publish()
    assert watchers.look() == {"root": 2, "targets": 2, "snapshot": 2, "timestamp": 2}

    restored = Server(tmp_path / "restored", book)
    shutil.copytree(backup, restored.dir)
    shutil.copy(server.folder / "passphrase", restored.folder)
    restored.serve()
    try:
        with pytest.raises(RepositoryError):
            update(restored.url, watchers.first, watchers.folder / "warm")
        assert restored.call("recover --dir DIR --mirror", {"URL": server.url})["live"]["targets"] == 2
        restored.publish()
        seen = update(restored.url, watchers.first, watchers.folder / "warm")["versions"]
        assert seen["root"] == 2 and seen["targets"] == 2 and seen["timestamp"] > 100
    finally:
        restored.stop()


def test_a_lost_quorum_is_cured_by_a_new_root_under_a_new_url(ceremony, tmp_path, book, stack, clients):
    server, artifact, bundle = ceremony.server, tmp_path / "artifact.txt", tmp_path / "release.sigstore.json"
    artifact.write_text("signed before the keys were lost\n")
    clients["cosign 3"].sign(artifact, bundle, stack.token("dev@corp.example")).accepted()
    programs = {"cosign3": [CLIENTS / "bin/cosign3"], "cosign2": [CLIENTS / "bin/cosign2"], "js": [CLIENTS / "js/node_modules/.bin/sigstore"]}

    def initialize(url: str, root: Path):
        for name, command in programs.items():
            (tmp_path / name).mkdir(exist_ok=True)
            outcome = run([*command, "initialize", "--mirror", url, "--root", root], tmp_path / name).accepted()
            assert "fallback" not in outcome.output.lower(), outcome.output

    initialize(server.url, server.dir / "roots/1.root.json")
    # Only cho still has a key: nothing that the root or the targets say can change any more.
    server.call("stage root")
    ceremony.sign("root", "cho")
    assert "1 of 2" in server.call("publish", code=2)["error"]
    # New people, the same trusted root, another URL.
    successor = Ceremony(tmp_path / "successor", book, stack).server
    try:
        assert successor.url != server.url
        first = successor.dir / "roots/1.root.json"
        with pytest.raises(RepositoryError):
            update(successor.url, server.dir / "roots/1.root.json", tmp_path / "told-only-the-url")
        initialize(successor.url, first)
        assert update(successor.url, first, tmp_path / "python")["versions"]["root"] == 1
        identity = ["--certificate-identity", "dev@corp.example", "--certificate-oidc-issuer", clients["cosign 3"].issuer]
        run([*programs["cosign3"], "verify-blob", "--bundle", bundle, *identity, artifact], tmp_path / "cosign3").accepted()
    finally:
        successor.stop()


def test_every_command_line_of_the_runbook_was_run(book):
    """Last: the tests before it used them all."""
    assert sorted(set(book.lines) - book.used) == []
