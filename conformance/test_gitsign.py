"""gitsign signs commits and verifies them, configured with what `tuf export` writes."""

import re
import subprocess

import pytest

from clients import Client, run
from conftest import EMAIL
from stack import CLIENTS

GITSIGN = CLIENTS / "bin/gitsign"


class Gitsign(Client):
    """A repository, and gitsign as its signer."""

    name = "gitsign"

    def __init__(self, stack, home, exported, mode):
        super().__init__(stack, home)
        self.bin = GITSIGN
        exports = re.findall(r"^export (\w+)='(.*)'$", (exported / "legacy.env").read_text(), re.MULTILINE)
        # What gitsign checks its own certificate against when it signs.
        self.env = {**dict(exports), "GITSIGN_REKOR_MODE": mode}
        self.repository = home / "repository"
        self.repository.mkdir()
        self.git("init", "--quiet", "--initial-branch=main").accepted()
        for name, value in {
            "include.path": exported / "gitsign.gitconfig",
            "gpg.x509.program": GITSIGN,
            "user.name": "A Developer",
            "user.email": EMAIL,
        }.items():
            self.git("config", name, value).accepted()

    def initialize(self):
        return self.run("initialize", "--mirror", self.stack.endpoints["tuf"], "--root", self.stack.trust("root.json"))

    def git(self, *arguments, **env):
        return run(["git", *arguments], self.home, {**self.env, **env}, cwd=self.repository)

    def commit(self, text: str, token: str):
        (self.repository / "file").write_text(text)
        self.git("add", "file").accepted()
        return self.git("commit", "--quiet", "--message", text, SIGSTORE_ID_TOKEN=token)

    def verify(self, revision: str = "HEAD", email: str = EMAIL, issuer: str | None = None):
        identity = ["--certificate-identity", email, "--certificate-oidc-issuer", issuer or self.issuer]
        return run([GITSIGN, "verify", *identity, revision], self.home, self.env, cwd=self.repository)


@pytest.fixture(params=["online", "offline"])
def gitsign(request, stack, exported, tmp_path):
    client = Gitsign(stack, tmp_path / "home", exported, request.param)
    client.initialize().accepted()
    return client


def test_gitsign_signs_a_commit_and_verifies_it(gitsign, token):
    gitsign.commit("first\n", token).accepted()
    gitsign.verify().accepted()
    gitsign.git("verify-commit", "HEAD").accepted()
    gitsign.verify(email="boss@corp.example").refused("identit|subject|none of the expected")
    gitsign.verify(issuer="https://accounts.example").refused("issuer|identit|none of the expected")


def test_commits_in_quick_succession_are_within_their_certificates_validity(gitsign, token):
    """A timestamp taken within a second of the certificate must not precede it."""
    for number in range(5):
        gitsign.commit(f"{number}\n", token).accepted()
        gitsign.verify().accepted()


def test_a_commit_that_was_changed_after_it_was_signed_is_refused(gitsign, token):
    gitsign.commit("first\n", token).accepted()
    commit = subprocess.run(
        ["git", "cat-file", "commit", "HEAD"], cwd=gitsign.repository, check=True, capture_output=True
    ).stdout
    forged = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
        cwd=gitsign.repository, input=commit.replace(b"A Developer", b"A Stranger."), check=True, capture_output=True,
    ).stdout.decode().strip()  # fmt: skip
    gitsign.verify(forged).refused("signature|digest|verif")
