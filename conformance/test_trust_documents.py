"""Each rule for trusted_root.json and the signing config: which clients refuse a file that breaks it, and that ours does.

G is cosign, P sigstore-python, J @sigstore/verify. A file is refused if a bundle that verified under the
honest file does not verify under this one, or if nothing can be signed with it.
"""

from __future__ import annotations

import base64
import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.verify import Verifier, policy

from conftest import EMAIL
from stack import sigkeep_binary

DOTTED = "application/vnd.dev.sigstore.trustedroot.v0.%d+json"


def every(document, change: Callable[[str], str], name: str = "rawBytes") -> None:
    """Changes every member of this name."""
    for key, value in list(document.items()) if isinstance(document, dict) else enumerate(document):
        if key == name:
            document[key] = change(value)
        elif isinstance(value, (dict, list)):
            every(value, change, name)


def another_log(root: dict) -> dict:
    """A second log, so that what is wrong with it is all that is wrong."""
    root["tlogs"].append(copy.deepcopy(root["tlogs"][0]))
    root["tlogs"][-1]["logId"]["keyId"] = base64.b64encode(b"\7" * 32).decode()
    return root["tlogs"][-1]


def pem(der: str) -> str:
    return base64.b64encode(f"-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n".encode()).decode()


def ended_twin(root: dict) -> None:
    root["tlogs"].append(copy.deepcopy(root["tlogs"][0]))
    period = root["tlogs"][-1]["publicKey"]["validFor"]
    period["end"] = period["start"]


TRUSTED_ROOT = {
    "media type of the proto, 0.1": (lambda r: r.update(mediaType=DOTTED % 1), "GP"),
    "media type of the proto, 0.2": (lambda r: r.update(mediaType=DOTTED % 2), "GP"),
    "unknown member": (lambda r: r.update(comment="ours"), "GP"),
    "unknown member of a log": (lambda r: r["tlogs"][0].update(comment="ours"), "GP"),
    "log without validFor": (lambda r: another_log(r)["publicKey"].pop("validFor"), "G"),
    "log with an empty validFor": (lambda r: another_log(r)["publicKey"].update(validFor={}), "GP"),
    "log without logId": (lambda r: another_log(r).pop("logId"), "GPJ"),
    "log without hashAlgorithm": (lambda r: another_log(r).pop("hashAlgorithm"), "GP"),
    "log without keyDetails": (lambda r: another_log(r)["publicKey"].pop("keyDetails"), "GP"),
    "authority without start": (lambda r: r["certificateAuthorities"][0]["validFor"].pop("start"), "P"),
    "no tlogs": (lambda r: r.pop("tlogs"), "GPJ"),
    "no ctlogs": (lambda r: r.pop("ctlogs"), "GPJ"),
    "PKIX_ED25519_PH": (lambda r: another_log(r)["publicKey"].update(keyDetails="PKIX_ED25519_PH"), "G"),
    "unknown keyDetails": (lambda r: another_log(r)["publicKey"].update(keyDetails="PKIX_OURS"), "GPJ"),
    "enumeration by number": (lambda r: another_log(r).update(hashAlgorithm=1), "P"),
    "URL-safe base64": (lambda r: every(r, lambda b: b.replace("+", "-").replace("/", "_")), "P"),
    "PEM instead of DER": (lambda r: another_log(r)["publicKey"].update(rawBytes=pem(r["tlogs"][0]["publicKey"]["rawBytes"])), "GJ"),
    "two entries of one log": (ended_twin, "G"),
}

SIGNING_CONFIG = {
    "no selectors": (lambda c: (c.pop("rekorTlogConfig"), c.pop("tsaConfig")), "G"),
    "media type 0.1": (lambda c: c.update(mediaType=c["mediaType"].replace("v0.2", "v0.1")), "GP"),
    "unknown member": (lambda c: c.update(comment="ours"), "GP"),
    "service without version": (lambda c: c["rekorTlogUrls"][0].pop("majorApiVersion"), "GP"),
    "EXACT of more than there are": (lambda c: c.update(rekorTlogConfig={"selector": "EXACT", "count": 2}), "GP"),
}


class Reader:
    """The three clients, an honest bundle and the honest files."""

    def __init__(self, stack, clients, folder: Path):
        self.clients, self.stack, self.folder = clients, stack, folder
        self.artifact, self.bundle = folder / "artifact.txt", folder / "bundle.json"
        self.artifact.write_bytes(b"what is signed\n")
        clients["cosign 3"].sign(self.artifact, self.bundle, stack.token(EMAIL)).accepted()
        self.root = json.loads(stack.trust("trusted_root.json").read_text())
        self.config = json.loads(stack.trust("signing_config.v0.2.json").read_text())

    def trust_config(self, root: dict, config: dict) -> ClientTrustConfig:
        media_type = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
        return ClientTrustConfig.from_json(json.dumps({"mediaType": media_type, "trustedRoot": root, "signingConfig": config}))

    def verifies(self, root: dict) -> str:
        """The clients that refuse the bundle under this trusted root."""
        file = self.folder / "trusted_root.json"
        file.write_text(json.dumps(root))
        cosign, javascript = self.clients["cosign 3"], self.clients["sigstore-js"]
        refused = ""
        if cosign.run("verify-blob", "--trusted-root", file, "--bundle", self.bundle, *cosign.identity(EMAIL), self.artifact).code:
            refused += "G"
        try:
            verifier = Verifier(trusted_root=self.trust_config(root, self.config).trusted_root)
            identity = policy.Identity(identity=EMAIL, issuer=self.stack.endpoints["oidc"])
            verifier.verify_artifact(self.artifact.read_bytes(), Bundle.from_json(self.bundle.read_text()), identity)
        except Exception:  # noqa: BLE001: readers raise whatever their parsers raise
            refused += "P"
        if javascript.script("verify.cjs", file, self.bundle, self.stack.endpoints["oidc"], EMAIL, self.artifact).code:
            refused += "J"
        return refused

    def signs(self, config: dict) -> str:
        """The clients that cannot sign with this signing config."""
        file, cosign = self.folder / "signing_config.v0.2.json", self.clients["cosign 3"]
        file.write_text(json.dumps(config))
        command = ["sign-blob", "--yes", "--signing-config", file, "--trusted-root", self.stack.trust("trusted_root.json")]
        token = self.stack.token(EMAIL)
        refused = "G" if cosign.run(*command, "--identity-token", token, "--bundle", self.folder / "new.json", self.artifact).code else ""
        try:
            read = self.trust_config(self.root, config).signing_config
            assert read.get_fulcio() and read.get_tlogs() and read.get_tsas() is not None
        except Exception:  # noqa: BLE001
            refused += "P"
        return refused

    def ours(self, name: str) -> None:
        command = [sigkeep_binary(), "tuf", "target", "add", self.folder / name, "--dir", self.folder / "repository"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=30)
        assert done.returncode == 2 and "clients would refuse it" in done.stderr, done.stdout + done.stderr


@pytest.fixture(scope="module")
def reader(stack, clients, tmp_path_factory):
    reader = Reader(stack, clients, tmp_path_factory.mktemp("reader"))
    assert reader.verifies(reader.root) == "" and reader.signs(reader.config) == ""
    return reader


@pytest.mark.parametrize("rule", TRUSTED_ROOT)
def test_each_rule_of_the_trusted_root_holds_in_the_clients(reader, rule):
    change, refused = TRUSTED_ROOT[rule]
    root = copy.deepcopy(reader.root)
    change(root)
    assert root != reader.root
    assert "".join(sorted(reader.verifies(root))) == "".join(sorted(refused))
    reader.ours("trusted_root.json")


@pytest.mark.parametrize("rule", SIGNING_CONFIG)
def test_each_rule_of_the_signing_config_holds_in_the_clients(reader, rule):
    change, refused = SIGNING_CONFIG[rule]
    config = copy.deepcopy(reader.config)
    change(config)
    assert config != reader.config
    assert "".join(sorted(reader.signs(config))) == "".join(sorted(refused))
    reader.ours("signing_config.v0.2.json")
