"""cosign signs, verifies, attests and verifies attestations of an image in an OCI registry."""

import io
import json
import tarfile

import pytest

from clients import run
from conftest import EMAIL
from stack import CLIENTS


@pytest.fixture
def image(registry, tmp_path, request):
    """A small image, pushed; by digest."""
    with tarfile.open(tmp_path / "layer.tar", "w") as layer:
        content = request.node.name.encode()
        info = tarfile.TarInfo("hello")
        info.size = len(content)
        layer.addfile(info, io.BytesIO(content))
    tag = f"{registry.host}/test/{abs(hash(request.node.name)):x}:latest"
    crane = CLIENTS / "bin/crane"
    pushed = run([crane, "append", "--new_layer", tmp_path / "layer.tar", "--new_tag", tag], tmp_path).accepted()
    return next(word for word in pushed.output.split() if "@sha256:" in word)


@pytest.mark.parametrize("name", ["cosign 3", "cosign 2"])
def test_cosign_signs_and_verifies_an_image(name, clients, image, token):
    cosign = clients[name]
    cosign.sign_image(image, token).accepted()
    cosign.verify_image(image, EMAIL).accepted()
    cosign.verify_image(image, "mallory@corp.example").refused("none of the expected identities matched|no matching CertificateIdentity")


@pytest.mark.parametrize("name", ["cosign 3", "cosign 2"])
def test_cosign_attests_and_verifies_the_attestation_of_an_image(name, clients, image, token, tmp_path):
    cosign = clients[name]
    predicate = tmp_path / "predicate.json"
    predicate.write_text(json.dumps({"reviewed": True}))
    kind = "https://example.com/review"
    cosign.attest_image(image, predicate, kind, token).accepted()
    cosign.verify_attestation(image, EMAIL, kind).accepted()
    cosign.verify_attestation(image, "mallory@corp.example", kind).refused("none of the expected identities matched|no matching CertificateIdentity")


def test_cosign_3_verifies_an_image_that_cosign_2_signed(clients, image, token):
    clients["cosign 2"].sign_image(image, token).accepted()
    clients["cosign 3"].verify_image(image, EMAIL).accepted()
