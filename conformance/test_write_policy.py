"""A private log that takes only what its own certificate authority's certificates signed."""

import base64
import hashlib
import json
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clients import Client, Cosign3
from conftest import EMAIL
from rekor import Proposals, Rekor
from replicas import Replica
from stack import CLIENTS, sigkeep_binary

POLICY = """
write-policy:
  signers: {authorities: AUTHORITIES, keys: [LISTED]}
"""


@pytest.fixture
def private_log(stack, tmp_path):
    """A log of its own, with the stack's certificate authority; its first entry is by a listed key."""
    key = tmp_path / "log.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], check=True)
    key.chmod(0o600)
    root = json.loads(stack.trust("trusted_root.json").read_text())
    chain = root["certificateAuthorities"][0]["certChain"]["certificates"]
    authorities, listed, listener = tmp_path / "authorities.pem", tmp_path / "listed.pem", Proposals()
    authorities.write_text("".join(pem(certificate["rawBytes"]) for certificate in chain))
    listed.write_bytes(base64.b64decode(listener.pem))
    log = Replica(tmp_path, 0, f"sqlite:{tmp_path}/log.db", f"[{{kind: rekor-v1, key: 'file:{key}'}}]")
    policy = POLICY.replace("AUTHORITIES", str(authorities)).replace("LISTED", str(listed))
    log.config.write_text(log.config.read_text() + policy)
    log.start()
    assert Rekor(log.url).call("POST", "/api/v1/log/entries", listener.next())[0] == 201
    yield log
    log.stop()


def pem(der: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n"


@pytest.fixture
def cosign(stack, private_log, tmp_path):
    """cosign 3 with a trust root and a signing configuration that name the private log alone."""
    root = json.loads(stack.trust("trusted_root.json").read_text())
    config = json.loads(stack.trust("signing_config.v0.2.json").read_text())
    der = Rekor(private_log.url).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    root["tlogs"] = [
        {
            **root["tlogs"][0],
            "baseUrl": private_log.url,
            "publicKey": {**root["tlogs"][0]["publicKey"], "rawBytes": base64.b64encode(der).decode()},
            "logId": {"keyId": base64.b64encode(hashlib.sha256(der).digest()).decode()},
        }
    ]
    config["rekorTlogUrls"] = [{**config["rekorTlogUrls"][0], "url": private_log.url}]
    files = {"--trusted-root": tmp_path / "root.json", "--signing-config": tmp_path / "signing.json"}
    for file, document in zip(files.values(), (root, config), strict=True):
        file.write_text(json.dumps(document))
    client = Cosign3(stack, tmp_path / "home")
    trust = [part for option in files.items() for part in option]

    def sign(*arguments, env=None):
        return client.run("sign-blob", "--yes", *trust, *arguments, env=env)

    def verify(bundle, file):
        return client.run("verify-blob", *trust[:2], "--bundle", bundle, *client.identity(EMAIL), file)

    client.sign_here, client.verify_here = sign, verify
    return client


def test_cosign_signs_with_an_identity_and_not_with_a_key_of_its_own(cosign, private_log, stack, token, artifact, tmp_path):
    bundle = tmp_path / "bundle.json"
    cosign.sign_here("--identity-token", token, "--bundle", bundle, artifact).accepted()
    cosign.verify_here(bundle, artifact).accepted()

    env = {"COSIGN_PASSWORD": ""}
    cosign.run("generate-key-pair", "--output-key-prefix", tmp_path / "key", env=env).accepted()
    own = cosign.sign_here("--key", tmp_path / "key.key", "--bundle", tmp_path / "own.json", artifact, env=env)
    own.refused("sign with an identity instead of a key")

    # The listing, as people and programs see it.
    search = [str(sigkeep_binary()), "rekor", "search", "--url", private_log.url]
    digest = hashlib.sha256(artifact.read_bytes()).hexdigest()
    found = subprocess.run([*search, "--artifact", artifact, "--json"], check=True, capture_output=True, text=True).stdout
    (entry,) = [json.loads(line) for line in found.splitlines()]
    assert (entry["hashes"], entry["logIndex"]) == ([f"sha256:{digest}"], 1)
    assert [(signer["identities"], signer["issuer"]) for signer in entry["signers"]] == [([EMAIL], stack.endpoints["oidc"])]
    options = ["--identity", EMAIL.upper(), "--issuer", stack.endpoints["oidc"], "--kind", "hashedrekord"]
    table = subprocess.run([*search, *options], check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(table) == 2 and table[0].split()[0] == "INDEX" and EMAIL in table[1]
    wrong = subprocess.run([*search, "--hash", "abc"], capture_output=True, text=True)
    assert (wrong.returncode, "hexadecimal digits" in wrong.stderr) == (2, True)


def test_rekor_cli_shows_why_a_key_is_refused(private_log, stack, artifact, tmp_path):
    key, public, signature = (tmp_path / name for name in ("own.pem", "own.pub", "own.sig"))
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    subprocess.run(["openssl", "dgst", "-sha256", "-sign", key, "-out", signature, artifact], check=True)
    client = Client(stack, tmp_path / "rekor-cli")
    client.bin = CLIENTS / "bin/rekor-cli"
    what = ["--type", "hashedrekord", "--artifact", artifact, "--signature", signature, "--pki-format", "x509"]
    refused = client.run("upload", "--rekor_server", private_log.url, *what, "--public-key", public)
    refused.refused("write-policy.signers")
