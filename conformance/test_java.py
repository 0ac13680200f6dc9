"""sigstore-java: it gets its certificates over gRPC with TLS, as it always does, and verifies.

`sigkeep up` speaks plain HTTP on loopback, so the certificate authority is served once more, over
TLS, with the same key, inventory aside: as an operator runs it apart.
"""

import datetime
import ipaddress
import json
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from clients import SigstoreJava
from conftest import EMAIL
from stack import Service

DAY = datetime.timedelta(days=1)


def server_certificate(folder):
    """A certificate for localhost by an authority of its own; the authority in a trust store."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def certificate(subject, key, issuer, issuer_key, extension):
        builder = x509.CertificateBuilder(name(issuer), name(subject), key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - DAY).not_valid_after(now + DAY)
        return builder.add_extension(extension, critical=False).sign(issuer_key, hashes.SHA256())

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = certificate("root", root_key, "root", root_key, x509.BasicConstraints(ca=True, path_length=None))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = certificate("localhost", key, "root", root_key, names)
    pem = serialization.Encoding.PEM
    (folder / "root.pem").write_bytes(root.public_bytes(pem))
    (folder / "tls.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "tls-key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    subprocess.run(
        ["keytool", "-importcert", "-noprompt", "-file", "root.pem", "-keystore", "trust.p12", "-storepass", "changeit"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def java(stack, tmp_path_factory):
    folder = tmp_path_factory.mktemp("java")
    server_certificate(folder)
    data = stack.data_dir
    configuration = {
        "issuers": str(data / "fulcio.yaml"),
        "certificate-chain": str(data / "certificates/fulcio-chain.pem"),
        "key": f"file:{data / 'keys/fulcio.pem'}",
        "passphrase": {"file": str(data / "passphrase")},
        "ct-log-url": stack.endpoints["ct"],
        "ct-log-public-key": str(data / "certificates/ct.pub"),
        "server": {
            "listen": "127.0.0.1:0",
            "tls": {"certificate": str(folder / "tls.pem"), "key": str(folder / "tls-key.pem")},
        },
    }
    # JSON is YAML.
    (folder / "fulcio.yaml").write_text(json.dumps(configuration))
    service = Service(folder / "fulcio.log", "fulcio", "serve", "--config", folder / "fulcio.yaml")
    config = json.loads(stack.trust("signing_config.v0.2.json").read_text())
    config["caUrls"][0]["url"] = f"https://localhost:{service.port}"
    (folder / "signing_config.json").write_text(json.dumps(config))
    client = SigstoreJava(stack, folder / "home")
    client.signing_config, client.trust_store = folder / "signing_config.json", folder / "trust.p12"
    yield client
    service.stop()


def test_every_client_verifies_what_sigstore_java_signed(java, clients, artifact, token, tmp_path):
    bundle = tmp_path / "bundle.json"
    java.sign(artifact, bundle, token).accepted()
    for verifier in [java, *clients.values()]:
        verifier.verify(bundle, artifact, EMAIL).accepted()


def test_sigstore_java_takes_its_trust_from_the_tuf_repository(java, stack, clients, artifact, token, tmp_path):
    bundle = tmp_path / "bundle.json"
    clients["cosign 3"].sign(artifact, bundle, token).accepted()
    repository = f"{stack.endpoints['tuf']},{stack.trust('root.json')},{tmp_path / 'cache'}"
    java.verify(bundle, artifact, EMAIL, trust=repository).accepted()


@pytest.mark.parametrize("signer", ["cosign 2", "sigstore-python", "sigstore-js", "sigstore-go"])
def test_sigstore_java_verifies_what_others_signed(signer, java, clients, artifact, token, tmp_path):
    bundle = tmp_path / "bundle.json"
    clients[signer].sign(artifact, bundle, token).accepted()
    java.verify(bundle, artifact, EMAIL).accepted()


def test_sigstore_java_refuses_for_the_right_reason(java, clients, artifact, token, tmp_path):
    bundle = tmp_path / "bundle.json"
    clients["cosign 3"].sign(artifact, bundle, token).accepted()
    java.verify(bundle, artifact, "boss@corp.example").refused("matcher|did not match")
    java.verify(bundle, artifact, EMAIL, "https://accounts.example").refused("matcher|did not match")
    other = tmp_path / "other"
    other.write_bytes(artifact.read_bytes() + b"!")
    java.verify(bundle, other, EMAIL).refused("digest")


def test_a_refused_token_is_an_error_that_says_so(java, artifact, tmp_path):
    token = java.stack.token("dev@corp.example", "--claim", "email_verified=false")
    java.sign(artifact, tmp_path / "bundle.json", token).refused("INVALID_ARGUMENT|email|token")
