"""The timestamp authority's answers, verified by openssl and, within bundles, by the clients."""

import base64
import datetime
import json
import subprocess

import pytest
from rfc3161_client import decode_timestamp_response

from conftest import EMAIL


@pytest.fixture
def chain(stack, tmp_path):
    """The authority's root, and all its certificates, as PEM files."""
    pem = stack.get("tsa", "/api/v1/timestamp/certchain").decode()
    certificates = [f"-----BEGIN{part}" for part in pem.split("-----BEGIN")[1:]]
    assert len(certificates) >= 2
    (tmp_path / "root.pem").write_text(certificates[-1])
    (tmp_path / "chain.pem").write_text(pem)
    return tmp_path


def openssl(folder, *arguments):
    return subprocess.run(["openssl", "ts", *arguments], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("digest", ["-sha256", "-sha384", "-sha512"])
def test_openssl_verifies_a_timestamp(stack, chain, artifact, digest):
    assert openssl(chain, "-query", "-data", artifact, digest, "-cert", "-out", "q.tsq").returncode == 0
    reply = stack.post("tsa", "/api/v1/timestamp", (chain / "q.tsq").read_bytes(), "application/timestamp-query")
    (chain / "r.tsr").write_bytes(reply)
    done = openssl(chain, "-verify", "-queryfile", "q.tsq", "-in", "r.tsr", "-CAfile", "root.pem", "-untrusted", "chain.pem")
    assert "Verification: OK" in done.stdout + done.stderr, done

    other = artifact.with_name("other")
    other.write_bytes(artifact.read_bytes() + b"!")
    done = openssl(chain, "-verify", "-data", other, "-in", "r.tsr", "-CAfile", "root.pem", "-untrusted", "chain.pem")
    assert done.returncode != 0 and "mismatch" in done.stdout + done.stderr, done


@pytest.fixture
def stamped(clients, stack, artifact, tmp_path):
    """Signs a file with cosign 3; the bundle, with its timestamp, as JSON."""

    def sign(file):
        path = tmp_path / f"{file.name}.json"
        clients["cosign 3"].sign(file, path, stack.token(EMAIL)).accepted()
        bundle = json.loads(path.read_text())
        assert len(stamps(bundle)) == 1
        return bundle

    return sign


def stamps(bundle) -> list:
    return bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"]


def counts(client, bundle, file, trusted_root=None) -> bool:
    """Whether the client takes the timestamp of a bundle for the time of its signature.

    All of these bundles have the log's time too, which is enough for most clients: cosign is told
    to want a timestamp, sigstore-go says which times it verified, sigstore-js insists on every one.
    """
    if client.name.startswith("cosign"):
        form = ["--new-bundle-format"] if client.name == "cosign 2" else []
        root = ["--trusted-root", trusted_root] if trusted_root else []
        flags = ["--use-signed-timestamps", "--bundle", bundle, *client.identity(EMAIL)]
        return client.run("verify-blob", *form, *root, *flags, file).code == 0
    outcome = client.verify(bundle, file, EMAIL, trusted_root=trusted_root)
    if client.name == "sigstore-go":
        return '"TimestampAuthority"' in outcome.accepted().output
    return outcome.code == 0


VERIFIERS = ["cosign 3", "cosign 2", "sigstore-js", "sigstore-go"]


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_a_timestamp_of_another_signature_counts_for_nothing(verifier, clients, stamped, artifact, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("something else\n")
    bundle, path = stamped(artifact), tmp_path / "bundle.json"
    path.write_text(json.dumps(bundle))
    assert counts(clients[verifier], path, artifact)
    stamps(bundle)[0] = stamps(stamped(other))[0]
    path.write_text(json.dumps(bundle))
    assert not counts(clients[verifier], path, artifact)


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_the_last_second_of_the_authoritys_validity_counts(verifier, clients, stack, stamped, artifact, tmp_path):
    bundle, path = stamped(artifact), tmp_path / "bundle.json"
    path.write_text(json.dumps(bundle))
    token = base64.b64decode(stamps(bundle)[0]["signedTimestamp"])
    taken = decode_timestamp_response(token).tst_info.gen_time
    root = json.loads(stack.trust("trusted_root.json").read_text())

    def counts_until(end) -> bool:
        root["timestampAuthorities"][0]["validFor"]["end"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        trusted_root = tmp_path / "trusted_root.json"
        trusted_root.write_text(json.dumps(root))
        return counts(clients[verifier], path, artifact, trusted_root)

    assert counts_until(taken)
    assert not counts_until(taken - datetime.timedelta(seconds=1))
