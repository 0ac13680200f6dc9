"""Past bundles under the next trust root: our verifier beside the real ones, and what it guards.

`tuf rotate --check`, `stage targets --check` and `publish --check` have a verifier of their own. It must
agree with the clients about every honest and every spoiled bundle, and about what a changed trusted
root does to them.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import forge
from conftest import EMAIL
from stack import sigkeep_binary

SIGNERS = ["cosign 3", "cosign 2", "sigstore-python", "sigstore-js", "sigstore-go"]
SPOILED = {
    "inclusion_hash": r"inclusion proof",
    "checkpoint_signature": r"checkpoint",
    "checkpoint_root": r"checkpoint",
    "signed_entry_timestamp": r"signed entry timestamp",
    "no_time": r"when it was signed",
    "without_sct": r"carries no SCT",
    "expired": r"was not valid at",
    "other_digest": r"another artifact|certificate's key",
}


def other_digest(bundle: dict) -> None:
    digest = bundle["messageSignature"]["messageDigest"]
    digest["digest"] = forge.flip_bit(digest["digest"])


class Root:
    """A repository of its own that publishes the stack's trust documents."""

    def __init__(self, folder: Path, stack):
        self.folder, self.dir = folder, folder / "repository"
        (folder / "passphrase").write_text("a passphrase for tests\n")
        self.trusted = json.loads(stack.trust("trusted_root.json").read_text())
        self.tool("init")
        for name in ("trusted_root.json", "signing_config.v0.2.json"):
            self.tool("target", "add", stack.trust(name))
        self.tool("publish")

    def tool(self, *arguments, code: int = 0) -> dict:
        command = [sigkeep_binary(), "tuf", *arguments, "--dir", self.dir, "--json"]
        if arguments[0] in ("init", "publish"):
            command += ["--passphrase-file", self.folder / "passphrase"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout else {"error": done.stderr}

    def stage(self, change: Callable[[dict], None]) -> Path:
        """Stages a changed trusted root."""
        changed = copy.deepcopy(self.trusted)
        change(changed)
        file = self.folder / "trusted_root.json"
        file.write_text(json.dumps(changed))
        self.tool("target", "add", file)
        return file

    def check(self, *sources, code: int = 0) -> dict:
        checks = [word for source in sources for word in ("--check", source)]
        # More than the log holds: all of it.
        return self.tool("rotate", *checks, "--sample", 100_000, code=code)["report"]


@pytest.fixture(scope="module")
def bundles(stack, clients, tmp_path_factory) -> dict[str, Path]:
    """An honest bundle of every client, with its artifact beside it."""
    folder = tmp_path_factory.mktemp("honest")
    made = {}
    for name in SIGNERS:
        artifact, bundle = folder / f"{name}.txt", folder / f"{name}.sigstore.json"
        artifact.write_text(f"signed by {name}\n")
        clients[name].sign(artifact, bundle, stack.token(EMAIL)).accepted()
        made[name] = bundle
    return made


@pytest.fixture
def root(tmp_path, stack):
    return Root(tmp_path, stack)


def ended(entry: dict) -> None:
    """The entry's time is over before anything was signed."""
    period = entry["publicKey"]["validFor"] if "publicKey" in entry else entry["validFor"]
    period["end"] = period["start"]


CHANGES = {
    "the log ended too early": (lambda root: ended(root["tlogs"][0]), r"but the entry is from"),
    "the authority ended too early": (lambda root: ended(root["certificateAuthorities"][0]), r"but the signature is from"),
    "the CT log ended too early": (lambda root: ended(root["ctlogs"][0]), r"was not trusted when it saw it"),
    "the authority is gone": (lambda root: root["certificateAuthorities"].clear(), r"no certificate authority"),
    "the CT log is gone": (lambda root: root["ctlogs"].clear(), r"is not there"),
}


def test_every_honest_bundle_passes_and_every_spoiled_one_is_named(stack, clients, bundles, root, tmp_path):
    spoiled = tmp_path / "spoiled"
    spoiled.mkdir()
    honest, artifact = bundles["cosign 3"], bundles["cosign 3"].with_name("cosign 3.txt")
    for change in (forge.inclusion_hash, forge.checkpoint_signature, forge.checkpoint_root, forge.signed_entry_timestamp, forge.no_time, other_digest):
        copied = shutil.copy(honest, tmp_path / "honest.json")
        shutil.move(forge.alter(Path(copied), change), spoiled / f"{change.__name__}.json")
    authority = forge.Authority(stack)
    authority.bundle(artifact, EMAIL, spoiled / "without_sct.json", sct=False)
    authority.bundle(artifact, EMAIL, spoiled / "expired.json", age=forge.datetime.timedelta(hours=2))
    authority.bundle(artifact, EMAIL, tmp_path / "scratch.json")
    report = root.check(honest.parent, tmp_path / "scratch.json", spoiled)
    assert (report["verified"], report["stopped"]) == (len(SIGNERS) + 1, [])
    reasons = {Path(entry["bundle"]).stem: entry["reason"] for entry in report["refused_before"]}
    assert sorted(reasons) == sorted(SPOILED)
    for name, reason in SPOILED.items():
        assert re.search(reason, reasons[name]), f"{name}: {reasons[name]}"
        # What ours refuses, the real ones refuse.
        if name != "other_digest":
            assert clients["sigstore-go"].verify(spoiled / f"{name}.json", artifact, EMAIL).code != 0, name
            assert clients["sigstore-python"].verify(spoiled / f"{name}.json", artifact, EMAIL).code != 0, name


@pytest.mark.parametrize("what", CHANGES)
def test_a_trusted_root_that_breaks_the_past_is_not_published(what, stack, clients, bundles, root, tmp_path):
    change, reason = CHANGES[what]
    file = root.stage(change)
    report = root.check(bundles["cosign 3"].parent, code=1)
    stopped = {Path(entry["bundle"]).name: entry["reason"] for entry in report["stopped"]}
    assert sorted(stopped) == sorted(path.name for path in bundles.values())
    assert all(re.search(reason, said) for said in stopped.values()), stopped
    for guarded in (("stage", "targets", "--force"), ("publish",), ("publish", "--dry-run")):
        error = root.tool(*guarded, "--check", bundles["cosign 2"], code=1)["error"]
        assert "cosign 2.sigstore.json" in error and re.search(reason, error) and "nothing was changed" in error, error
    assert json.loads((root.dir / "published/timestamp.json").read_text())["signed"]["version"] == 1
    # A real client says the same about a bundle that it accepts today.
    artifact = bundles["sigstore-go"].with_name("sigstore-go.txt")
    client = clients["sigstore-go"]
    client.verify(bundles["sigstore-go"], artifact, EMAIL).accepted()
    arguments = ["-artifact", artifact, "-expectedIssuer", client.issuer, "-expectedSAN", EMAIL, "-trustedrootJSONpath", file]
    assert client.run(*arguments, bundles["sigstore-go"]).code != 0


def test_what_ends_after_the_past_is_published(stack, bundles, root):
    def end_tomorrow(trusted: dict) -> None:
        tomorrow = forge.datetime.datetime.now(forge.datetime.UTC) + forge.datetime.timedelta(days=1)
        trusted["tlogs"][0]["publicKey"]["validFor"]["end"] = tomorrow.strftime("%Y-%m-%dT%H:%M:%SZ")

    root.stage(end_tomorrow)
    published = root.tool("publish", "--check", bundles["cosign 3"].parent, "--check", stack.endpoints["rekor"])
    assert published["published"]["targets"] == 2
    assert any("past bundles verify under the new trusted root" in line for line in published["accepted_by"])


def test_a_sample_of_the_log_is_a_past_too(stack, bundles, root):
    indices = {json.loads(bundle.read_text())["verificationMaterial"]["tlogEntries"][0]["logIndex"] for bundle in bundles.values()}
    honest = {f"{stack.endpoints['rekor']} entry {index}" for index in indices}
    assert len(honest) == len(SIGNERS)
    report = root.check(stack.endpoints["rekor"])
    assert report["verified"] >= len(SIGNERS) and not report["stopped"], report
    # Other tests have left entries of other kinds, of other authorities and forged ones.
    assert honest.isdisjoint(entry["bundle"] for entry in report["refused_before"]), report
    root.stage(CHANGES["the log ended too early"][0])
    report = root.check(stack.endpoints["rekor"], code=1)
    assert honest <= {entry["bundle"] for entry in report["stopped"]}, report


def test_a_check_of_nothing_fails(root, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no bundle" in root.tool("rotate", "--check", empty, code=2)["error"]
    (empty / "other.json").write_text("{}")
    assert "holds no bundle" in root.tool("publish", "--check", empty, code=2)["error"]
    assert "127.0.0.1:9" in root.tool("rotate", "--check", "http://127.0.0.1:9/", code=2)["error"]
