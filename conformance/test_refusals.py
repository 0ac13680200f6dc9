"""What must not verify does not, in every client, and for the right reason."""

import datetime

import pytest

import forge
from conftest import EMAIL

VERIFIERS = ["cosign 3", "cosign 2", "sigstore-python", "sigstore-js", "sigstore-go"]


@pytest.fixture(scope="module")
def authority(stack):
    return forge.Authority(stack)


@pytest.fixture(scope="module")
def signed(stack, clients, tmp_path_factory):
    """An honest bundle whose inclusion proof has at least one hash."""
    folder = tmp_path_factory.mktemp("signed")
    artifact = folder / "artifact.txt"
    for content in (b"first entry, so that the next proof is not empty", b"what is signed\n"):
        artifact.write_bytes(content)
        bundle = folder / "bundle.json"
        clients["cosign 3"].sign(artifact, bundle, stack.token(EMAIL)).accepted()
    return artifact, bundle


@pytest.fixture(params=VERIFIERS)
def verifier(request, clients):
    return clients[request.param]


def test_another_identity_is_refused(verifier, signed):
    artifact, bundle = signed
    verifier.verify(bundle, artifact, EMAIL).accepted()
    verifier.verify(bundle, artifact, "mallory@corp.example").refused(r"identit|SAN|expected .*mallory")


def test_another_issuer_is_refused(verifier, signed):
    artifact, bundle = signed
    verifier.verify(bundle, artifact, EMAIL, "https://accounts.other.example").refused(r"issuer|identit")


def test_an_artifact_with_one_bit_changed_is_refused(verifier, signed, tmp_path):
    artifact, bundle = signed
    altered = tmp_path / "altered.txt"
    content = bytearray(artifact.read_bytes())
    content[0] ^= 1
    altered.write_bytes(content)
    verifier.verify(bundle, altered, EMAIL).refused(r"signature|digest")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (forge.inclusion_hash, r"inclusion|root"),
        (forge.checkpoint_signature, r"checkpoint|signature|inclusion"),
        (forge.checkpoint_root, r"checkpoint|signature|inclusion|root"),
        (forge.signed_entry_timestamp, r"promise|SET|signed entry|inclusion|signature"),
        (forge.no_time, r"time|promise|inclusion|SET"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_altered_log_entry_is_refused(verifier, signed, change, reason):
    artifact, bundle = signed
    verifier.verify(forge.alter(bundle, change), artifact, EMAIL).refused(reason)


def test_a_bundle_made_from_scratch_with_nothing_wrong_is_accepted(verifier, authority, artifact, tmp_path):
    bundle = authority.bundle(artifact, EMAIL, tmp_path / "bundle.json")
    verifier.verify(bundle, artifact, EMAIL).accepted()


def test_a_certificate_without_sct_is_refused(verifier, authority, artifact, tmp_path):
    bundle = authority.bundle(artifact, EMAIL, tmp_path / "bundle.json", sct=False)
    verifier.verify(bundle, artifact, EMAIL).refused(r"SCT|certificate timestamp|signed certificate|ctlog")


def test_a_certificate_that_had_expired_when_it_was_logged_is_refused(verifier, authority, artifact, tmp_path):
    bundle = authority.bundle(artifact, EMAIL, tmp_path / "bundle.json", age=datetime.timedelta(hours=2))
    verifier.verify(bundle, artifact, EMAIL).refused(r"expired|valid|validity|chain")
