"""rekor-cli uploads, gets, verifies and finds entries that are signed with OpenPGP.

The signers are GnuPG and rpmsign. `agrees` compares the canonical body, the canonical key in it
included, with what the client computes.
"""

import hashlib
import json
import os
import subprocess

import pytest

from test_entry_kinds import agrees, rekor_cli  # noqa: F401 (fixtures)


class Gpg:
    """GnuPG with a home of its own."""

    def __init__(self, home):
        home.mkdir(mode=0o700)
        self.environment = {**os.environ, "GNUPGHOME": str(home)}

    def run(self, *arguments):
        command = ["gpg", "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""]
        return subprocess.run([*command, *map(str, arguments)], env=self.environment, check=True, capture_output=True).stdout

    def key(self, name, algorithm):
        """Makes a key; returns the file with its armoured public half."""
        self.run("--quick-gen-key", f"{name} <{name}@corp.example>", algorithm, "sign,cert", "never")
        return self.run("--armor", "--export", f"{name}@corp.example")


@pytest.fixture
def gpg(tmp_path):
    gpg = Gpg(tmp_path / "gpg")
    yield gpg
    subprocess.run(["gpgconf", "--kill", "all"], env=gpg.environment, check=True)


@pytest.fixture
def found(rekor_cli):  # noqa: F811
    """The entries that a search finds."""

    def search(*what):
        return json.loads(rekor_cli("search", *what).accepted().output)["UUIDs"]

    return search


@pytest.mark.parametrize("algorithm", ["rsa2048", "ed25519", "nistp384", "dsa2048"])
def test_rekord(agrees, found, gpg, artifact, tmp_path, algorithm):  # noqa: F811
    public = tmp_path / "key.asc"
    public.write_bytes(gpg.key(algorithm, algorithm))
    for form, options in [("armoured", ["--armor"]), ("binary", []), ("text", ["--textmode"])]:
        signature = tmp_path / form
        gpg.run("--local-user", f"{algorithm}@corp.example", *options, "--detach-sign", "--output", signature, artifact)
        body = agrees("--type", "rekord", "--artifact", artifact, "--signature", signature, "--pki-format", "pgp", "--public-key", public)
        assert body["RekordObj"]["signature"]["format"] == "pgp"
    assert len(found("--pki-format", "pgp", "--public-key", public)) == 3
    assert len(found("--email", f"{algorithm}@corp.example")) == 3
    assert len(found("--artifact", artifact)) == 3


SPECIFICATION = """
Name: fixture
Version: 1.2
Release: {release}
Summary: A fixture
License: MIT
BuildArch: noarch
%description
A fixture.
%install
mkdir -p %{{buildroot}}/usr/share/fixture
echo {release} > %{{buildroot}}/usr/share/fixture/hello
%files
/usr/share/fixture/hello
"""


@pytest.mark.parametrize(("algorithm", "options"), [("rsa2048", []), ("rsa2048", ["--rpmv3"]), ("ed25519", [])])
def test_rpm(agrees, found, gpg, tmp_path, algorithm, options):  # noqa: F811
    public, specification = tmp_path / "key.asc", tmp_path / "fixture.spec"
    public.write_bytes(gpg.key("packager", algorithm))
    specification.write_text(SPECIFICATION.format(release=hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]))
    subprocess.run(["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {tmp_path}/build", specification], check=True, capture_output=True)
    [package] = (tmp_path / "build/RPMS/noarch").iterdir()
    name = ["--define", "_gpg_name packager@corp.example", "--define", "__gpg /usr/bin/gpg"]
    subprocess.run(["rpmsign", *name, *options, "--addsign", package], env=gpg.environment, check=True, capture_output=True)
    body = agrees("--type", "rpm", "--artifact", package, "--pki-format", "pgp", "--public-key", public)
    assert body["RPMModel"]["package"]["headers"]["Name"] == "fixture"
    assert len(found("--artifact", package)) == 1
    assert len(found("--pki-format", "pgp", "--public-key", public)) == 1


PROVENANCE = """apiVersion: v2
description: A chart
name: fixture
version: 0.1.0

...
files:
  fixture-0.1.0.tgz: sha256:{digest}
"""


@pytest.mark.parametrize("algorithm", ["rsa2048", "ed25519"])
def test_helm(agrees, found, gpg, tmp_path, algorithm):  # noqa: F811
    public, text, provenance = tmp_path / "key.asc", tmp_path / "text", tmp_path / "fixture-0.1.0.tgz.prov"
    public.write_bytes(gpg.key("charts", algorithm))
    digest = hashlib.sha256(str(tmp_path).encode()).hexdigest()
    text.write_text(PROVENANCE.format(digest=digest))
    gpg.run("--clearsign", "--output", provenance, text)
    body = agrees("--type", "helm", "--artifact", provenance, "--pki-format", "pgp", "--public-key", public)
    assert body["HelmObj"]["chart"]["hash"]["value"] == digest
    assert len(found("--sha", digest)) == 1
    assert len(found("--pki-format", "pgp", "--public-key", public)) == 1
