"""What is exported from a running stack, and a trust root carried across an air gap, with real clients.

The manifests are validated against the custom resource definitions of the projects that read them,
from their Go modules. The commands of docs/air-gap.md are run as they stand there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from clients import Cosign3, run
from conftest import EMAIL, tool
from stack import CLIENTS, ROOT, sigkeep_binary
from tuf_client import update

PASSPHRASE = "a passphrase for tests\n"

# The definitions that the manifests must fit: Go module, file in it.
CRDS = {
    "TrustRoot": ("github.com/sigstore/policy-controller@v0.13.1", "config/300-trustroot.yaml"),
    "ClusterImagePolicy": ("github.com/sigstore/policy-controller@v0.13.1", "config/300-clusterimagepolicy.yaml"),
    "ClusterPolicy": ("github.com/kyverno/kyverno@v1.19.1", "config/crds/kyverno/kyverno.io_clusterpolicies.yaml"),
    "ImageValidatingPolicy": (
        "github.com/kyverno/kyverno@v1.19.1",
        "config/crds/policies.kyverno.io/policies.kyverno.io_imagevalidatingpolicies.yaml",
    ),
    "OCIRepository": (
        "github.com/fluxcd/source-controller@v1.9.5",
        "config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml",
    ),
}


@pytest.fixture
def signed(clients, artifact, token, tmp_path):
    bundle = tmp_path / "bundle.json"
    clients["cosign 3"].sign(artifact, bundle, token).accepted()
    return artifact, bundle


def schema(kind: str, version: str) -> dict:
    module, file = CRDS[kind]
    done = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True, timeout=300, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (Path(json.loads(done.stdout)["Dir"]) / file).read_text()
    definition = next(document for document in yaml.safe_load_all(text) if document)
    [found] = [v for v in definition["spec"]["versions"] if v["name"] == version and v["served"]]
    return found["schema"]["openAPIV3Schema"]


def violations(value, schema: dict, at: str = "") -> list[str]:
    """Where a value does not fit a structural schema: types, required and unknown members, enumerations."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    kind = schema.get("type")
    if kind in kinds and not isinstance(value, kinds[kind]):
        return [f"{at} is not of type {kind}"]
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at} is none of {schema['enum']}")
    if isinstance(value, dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        members = schema.get("properties", {})
        found += [f"{at}.{name} is missing" for name in schema.get("required", []) if name not in value]
        for name, member in value.items():
            other = schema.get("additionalProperties")
            if name in members:
                found += violations(member, members[name], f"{at}.{name}")
            elif isinstance(other, dict):
                found += violations(member, other, f"{at}.{name}")
            elif at not in ("", ".metadata"):  # Kubernetes' own
                found.append(f"{at}.{name} is unknown")
    if isinstance(value, list):
        for number, item in enumerate(value):
            found += violations(item, schema.get("items", {}), f"{at}[{number}]")
    return found


def test_manifests_fit_the_definitions_of_those_who_read_them(exported):
    seen = []
    for file in sorted(exported.glob("*.yaml")):
        manifest = yaml.safe_load(file.read_text())
        if manifest["kind"] in CRDS:
            version = manifest["apiVersion"].split("/")[1]
            assert violations(manifest, schema(manifest["kind"], version)) == [], file.name
            seen.append(manifest["kind"])
    assert sorted(seen) == sorted([*CRDS, "TrustRoot", "TrustRoot"])


def test_the_check_of_manifests_can_fail(exported):
    manifest = yaml.safe_load((exported / "cluster-image-policy.yaml").read_text())
    manifest["spec"]["authorities"][0]["keyless"]["trustRoot"] = "corp"
    manifest["spec"]["images"] = "all"
    found = violations(manifest, schema("ClusterImagePolicy", "v1beta1"))
    assert sorted(found) == [".spec.authorities[0].keyless.trustRoot is unknown", ".spec.images is not of type array"]


def test_cosign_verifies_with_the_exported_files(stack, exported, signed, tmp_path):
    artifact, bundle = signed
    cosign = Cosign3(stack, tmp_path / "home")
    identity = cosign.identity(EMAIL)
    verify = ["verify-blob", "--bundle", bundle, *identity]
    cosign.run(*verify, "--trusted-root", exported / "trusted_root.json", artifact).accepted()
    secret = yaml.safe_load((exported / "flux-secret.yaml").read_text())["stringData"]["trusted_root.json"]
    policy = yaml.safe_load((exported / "kyverno-image-validating-policy.yaml").read_text())
    inline = policy["spec"]["attestors"][0]["cosign"]["trustedRoot"]["value"]
    for name, text in (("flux", secret), ("kyverno", inline)):
        file = tmp_path / f"{name}.json"
        file.write_text(text)
        cosign.run(*verify, "--trusted-root", file, artifact).accepted()
    env = dict(re.findall(r"^export (\w+)='(.*)'$", (exported / "client.env").read_text(), re.MULTILINE))
    cosign.run(*verify, artifact, env=env).accepted()


def test_cosign_2_verifies_with_the_exported_keys(stack, exported, clients, artifact, token, tmp_path):
    bundle = tmp_path / "old.json"
    clients["cosign 2"].sign_old_format(artifact, bundle, token).accepted()
    env = dict(re.findall(r"^export (\w+)='(.*)'$", (exported / "legacy.env").read_text(), re.MULTILINE))
    cosign = CLIENTS / "bin/cosign2"
    home = tmp_path / "home"
    home.mkdir()
    identity = ["--certificate-identity", EMAIL, "--certificate-oidc-issuer", stack.endpoints["oidc"]]
    verify = [cosign, "verify-blob", "--bundle", bundle, *identity, artifact]
    run(verify, home, env=env).accepted()
    foreign = {**env, "SIGSTORE_REKOR_PUBLIC_KEY": str(exported / "ctfe.pub")}
    run(verify, home, env=foreign).refused("")


def test_git_reads_the_exported_configuration(stack, exported):
    def value(name):
        command = ["git", "config", "--file", exported / "gitsign.gitconfig", name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    assert value("gitsign.fulcio") == stack.endpoints["fulcio"]
    assert value("gitsign.rekor") == stack.endpoints["rekor"]
    assert value("gitsign.issuer") == stack.endpoints["oidc"]
    assert value("gitsign.timestampCertChain") == str(exported / "tsa_chain.pem")
    assert value("gpg.x509.program") == "gitsign"


class Document:
    """The commands of docs/air-gap.md, run in a folder as they stand there."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs/air-gap.md").read_text(), re.DOTALL)
        self.used: list[str] = []
        self.bin = folder / "bin"
        self.bin.mkdir()
        shim = self.bin / "tuf-root"
        shim.write_text(f'#!/bin/sh\nexec "{sigkeep_binary()}" tuf "$@"\n')
        shim.chmod(0o755)
        (folder / "passphrase").write_text(PASSPHRASE)

    def run(self, word: str, code: int = 0) -> str:
        """Runs the one block that contains the word."""
        [block] = [block for block in self.blocks if word in block]
        self.used.append(block)
        return self.shell(block, code)

    def shell(self, script: str, code: int = 0) -> str:
        environment = {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "TUF_ROOT_PASSPHRASE_FILE": str(self.folder / "passphrase"),
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == code, f"{script}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def test_a_trust_root_is_carried_into_an_enclave_as_the_document_says(stack, signed, tmp_path):
    artifact, bundle = signed
    folder = tmp_path / "work"
    folder.mkdir()
    document = Document(folder)
    document.shell("tuf-root init --dir tuf")
    for name in ("trusted_root.json", "signing_config.v0.2.json"):
        document.shell(f"tuf-root target add --dir tuf '{stack.trust(name)}'")
    document.shell("tuf-root publish --dir tuf && sha256sum tuf/roots/1.root.json > first-root.sha256")
    first = folder / "tuf/roots/1.root.json"

    document.run("bundle init")
    document.run("key import")
    document.run("bundle create")
    document.run("openssl")
    document.run("bundle apply")
    document.run("bundle refresh")
    assert sorted(document.used) == sorted(document.blocks), "a command of the document was not run"

    command = [sigkeep_binary(), "tuf", "bundle", "serve", "--dir", folder / "enclave", "--json", "--listen", "127.0.0.1:0",
               "--passphrase-file", folder / "passphrase"]  # fmt: skip
    server = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        text = ""
        while not text.endswith("}\n"):
            line = server.stdout.readline()
            assert line, "the server ended"
            text += line
        url = json.loads(text)["listening"]
        # The centre's repository is not needed any more.
        shutil.move(folder / "tuf", folder / "away")
        first = folder / "away/roots/1.root.json"
        home = tmp_path / "home"
        home.mkdir()
        cosign = CLIENTS / "bin/cosign3"
        checksum = hashlib.sha256(first.read_bytes()).hexdigest()
        run([cosign, "initialize", "--mirror", url, "--root", first, "--root-checksum", checksum], home).accepted()
        identity = ["--certificate-identity", EMAIL, "--certificate-oidc-issuer", stack.endpoints["oidc"]]
        run([cosign, "verify-blob", "--bundle", bundle, *identity, artifact], home).accepted()
        other = tmp_path / "other.txt"
        other.write_text("something else\n")
        run([cosign, "verify-blob", "--bundle", bundle, *identity, other], home).refused("")

        # A client that stays, over a refresh at the centre and a second bundle.
        warm = tmp_path / "warm"
        before = update(url, first, warm)["versions"]
        shutil.move(folder / "away", folder / "tuf")
        note = folder / "note.txt"
        note.write_text("second\n")
        document.shell("cp bundle.tar old.tar; tuf-root target add --dir tuf note.txt; tuf-root publish --dir tuf")
        document.run("bundle create")
        document.run("bundle apply")
        after = update(url, folder / "tuf/roots/1.root.json", warm)
        assert after["versions"]["targets"] == before["targets"] + 1
        assert after["versions"]["timestamp"] == before["timestamp"] + 1
        assert "note.txt" in after["targets"]

        refused = {
            "older than what is here": "cp old.tar bad.tar",
            "not a whole archive": "head -c 20000 bundle.tar > bad.tar",
            "not in the form": "cp bundle.tar bad.tar; echo more > extra; tar --append -f bad.tar extra",
            "is not a regular file": "cp bundle.tar bad.tar; ln -s /etc/passwd zz; tar --append -f bad.tar zz",
            "not signed by": "cp bundle.tar bad.tar; openssl ecparam -name prime256v1 -genkey -noout"
            " | openssl ec -pubout -out bundle.pub",
        }
        for reason, script in refused.items():
            document.shell(script)
            said = document.shell("tuf-root bundle apply --dir enclave --key bundle.pub bad.tar", code=2)
            assert reason in said, (reason, said)
        assert update(url, folder / "tuf/roots/1.root.json", warm)["versions"] == after["versions"]
    finally:
        server.terminate()
        assert server.wait(10) == 0
