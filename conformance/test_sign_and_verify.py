"""Every client signs; every client verifies what every other signed."""

import json

import pytest

from clients import SigstoreRs
from conftest import EMAIL

SIGNERS = ["cosign 3", "cosign 2", "sigstore-python", "sigstore-js", "sigstore-go"]


@pytest.mark.parametrize("signer", SIGNERS)
def test_every_client_verifies_what_this_client_signed(signer, clients, artifact, token, tmp_path):
    bundle = tmp_path / "bundle.json"
    clients[signer].sign(artifact, bundle, token).accepted()
    for verifier in clients.values():
        verifier.verify(bundle, artifact, EMAIL).accepted()


@pytest.mark.parametrize("signer", SIGNERS)
def test_sigstore_rs_verifies_what_this_client_signed(signer, clients, stack, artifact, token, tmp_path):
    bundle, rust = tmp_path / "bundle.json", SigstoreRs(stack, tmp_path / "home")
    clients[signer].sign(artifact, bundle, token).accepted()
    rust.verify(bundle, artifact, EMAIL).accepted()
    rust.verify(bundle, artifact, "boss@corp.example").refused("certificate|identity")
    rust.verify(bundle, artifact, EMAIL, "https://accounts.example").refused("certificate|issuer")
    artifact.write_text("changed\n")
    rust.verify(bundle, artifact, EMAIL).refused("signature|transparency")


def test_cosign_2_signs_and_verifies_in_its_old_bundle_format(clients, artifact, token, tmp_path):
    bundle = tmp_path / "bundle.json"
    clients["cosign 2"].sign_old_format(artifact, bundle, token).accepted()
    assert "rekorBundle" in json.loads(bundle.read_text())
    clients["cosign 2"].verify_old_format(bundle, artifact, EMAIL).accepted()


def test_sigstore_js_cli_attests_and_cosign_verifies_the_attestation(clients, stack, artifact, token, tmp_path):
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "artifact", "digest": {"sha256": sha256(artifact)}}],
        "predicateType": "https://example.com/predicate",
        "predicate": {"built": "here"},
    }
    (tmp_path / "statement.json").write_text(json.dumps(statement))
    bundle = tmp_path / "bundle.json"
    js = clients["sigstore-js"]
    js.cli(
        "attest", "--fulcio-url", stack.endpoints["fulcio"], "--rekor-url", stack.endpoints["rekor"],
        "--tsa-server-url", stack.endpoints["tsa"], "-o", bundle, tmp_path / "statement.json",
        env={"CI": "true", "SIGSTORE_ID_TOKEN": token},
    ).accepted()  # fmt: skip
    cosign = clients["cosign 3"]
    cosign.run(
        "verify-blob-attestation", "--bundle", bundle, "--type", "https://example.com/predicate", *cosign.identity(EMAIL), artifact
    ).accepted()
    js.verify(bundle, None, EMAIL).accepted()


def test_sigstore_js_cli_verifies_with_the_tuf_repository(clients, stack, artifact, token, tmp_path):
    bundle = tmp_path / "bundle.json"
    clients["cosign 3"].sign(artifact, bundle, token).accepted()
    clients["sigstore-js"].cli(
        "verify", "--tuf-mirror-url", stack.endpoints["tuf"], "--tuf-root-path", stack.trust("root.json"),
        "--certificate-issuer", stack.endpoints["oidc"], "--certificate-identity-email", EMAIL,
        "--blob-file", artifact, bundle,
    ).accepted()  # fmt: skip


def test_sigstore_python_verifies_with_the_tuf_repository(clients, stack, artifact, token, tmp_path):
    bundle = tmp_path / "bundle.json"
    python = clients["sigstore-python"]
    instance = ["--instance", stack.endpoints["tuf"]]
    python.run(*instance, "sign", "--identity-token", token, "--bundle", bundle, artifact).accepted()
    python.run(
        *instance, "verify", "identity", "--bundle", bundle,
        "--cert-identity", EMAIL, "--cert-oidc-issuer", stack.endpoints["oidc"], artifact,
    ).accepted()  # fmt: skip


def test_dsse_signed_by_sigstore_js_verifies_in_cosign(clients, artifact, token, tmp_path):
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "artifact", "digest": {"sha256": sha256(artifact)}}],
        "predicateType": "https://example.com/predicate",
        "predicate": {},
    }
    (tmp_path / "statement.json").write_text(json.dumps(statement))
    bundle = tmp_path / "bundle.json"
    js, cosign = clients["sigstore-js"], clients["cosign 3"]
    js.sign(tmp_path / "statement.json", bundle, token, "dsse", "application/vnd.in-toto+json").accepted()
    js.verify(bundle, None, EMAIL).accepted()
    cosign.run(
        "verify-blob-attestation", "--bundle", bundle, "--type", "https://example.com/predicate", *cosign.identity(EMAIL), artifact
    ).accepted()


def test_cosign_signs_with_a_local_key_and_logs_it_while_the_identity_provider_is_not_needed(clients, stack, artifact, tmp_path):
    for name in ("cosign 3", "cosign 2"):
        cosign = clients[name]
        work = tmp_path / name.replace(" ", "")
        work.mkdir()
        env = {"COSIGN_PASSWORD": "a passphrase"}
        cosign.run("generate-key-pair", "--output-key-prefix", work / "key", env=env).accepted()
        bundle = work / "bundle.json"
        rekor = ["--rekor-url", stack.endpoints["rekor"]] if name == "cosign 2" else []
        form = ["--new-bundle-format"] if name == "cosign 2" else []
        cosign.run(
            "sign-blob", "--yes", *rekor, *form, "--key", work / "key.key", "--bundle", bundle, artifact, env=env
        ).accepted()
        entries = json.loads(bundle.read_text())["verificationMaterial"]["tlogEntries"]
        assert len(entries) == 1, "the signature is in the log"
        cosign.run("verify-blob", *form, "--key", work / "key.pub", "--bundle", bundle, artifact).accepted()


def sha256(file):
    import hashlib

    return hashlib.sha256(file.read_bytes()).hexdigest()
