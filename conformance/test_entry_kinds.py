"""rekor-cli uploads and verifies an entry of every kind that the log takes.

`verify` computes the canonical body on the client's side and compares; so each test shows that
server and client agree on it to the last byte.
"""

import base64
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import zipfile

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from clients import Client
from stack import CLIENTS

B64 = base64.standard_b64encode


@pytest.fixture
def rekor_cli(stack, tmp_path):
    client = Client(stack, tmp_path / "home")
    client.bin = CLIENTS / "bin/rekor-cli"

    def call(command, *arguments):
        return client.run(command, "--rekor_server", stack.endpoints["rekor"], "--format", "json", *arguments)

    return call


@pytest.fixture
def agrees(rekor_cli):
    """Uploads twice and verifies."""

    def check(*what):
        uploaded = json.loads(rekor_cli("upload", *what).accepted().output)
        uuid = uploaded["Location"].rsplit("/", 1)[1][-64:]
        verified = json.loads(rekor_cli("verify", *what).accepted().output)
        assert verified["EntryUUID"][-64:] == uuid
        again = json.loads(rekor_cli("upload", *what).accepted().output)
        assert again["AlreadyExists"]
        found = rekor_cli("get", "--uuid", uuid).accepted().output
        return json.loads(found)["Body"]

    return check


def pem(key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def write(path, content: bytes):
    path.write_bytes(content)
    return path


def openssl(*arguments, **options):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, **options)


def test_intoto_0_0_1(agrees, tmp_path):
    key = ec.generate_private_key(ec.SECP256R1())
    payload = json.dumps({"_type": "https://in-toto.io/Statement/v1", "subject": [], "nonce": str(tmp_path)}).encode()
    kind = b"application/vnd.in-toto+json"
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    envelope = {
        "payloadType": kind.decode(),
        "payload": B64(payload).decode(),
        "signatures": [{"sig": B64(key.sign(pae, ec.ECDSA(hashes.SHA256()))).decode()}],
    }
    file = write(tmp_path / "envelope.json", json.dumps(envelope).encode())
    agrees("--type", "intoto:0.0.1", "--artifact", file, "--public-key", write(tmp_path / "key.pem", pem(key)))


@pytest.mark.parametrize("kind", ["es256", "ps256"])
def test_cose(agrees, tmp_path, kind):
    payload = str(tmp_path).encode()
    protected = b"\xa1\x01\x26" if kind == "es256" else b"\xa1\x01\x38\x24"
    # Sig_structure has lengths in their shortest form.
    length = bytes([0x58, len(payload)]) if len(payload) > 23 else bytes([0x40 + len(payload)])
    message = b"\x84\x6aSignature1" + bytes([0x40 + len(protected)]) + protected + b"\x40" + length + payload
    if kind == "es256":
        key = ec.generate_private_key(ec.SECP256R1())
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    else:
        key = rsa.generate_private_key(65537, 2048)
        signature = key.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    sign1 = b"\xd2\x84" + bytes([0x40 + len(protected)]) + protected + b"\xa0" + length + payload
    sign1 += b"\x59" + len(signature).to_bytes(2, "big") if len(signature) > 255 else bytes([0x58, len(signature)])
    sign1 += signature
    file = write(tmp_path / "message.cose", sign1)
    agrees("--type", "cose", "--artifact", file, "--public-key", write(tmp_path / "key.pem", pem(key)))


def test_rfc3161_of_the_stacks_own_authority(stack, agrees, artifact, tmp_path):
    openssl("ts", "-query", "-data", artifact, "-sha256", "-cert", "-out", tmp_path / "query")
    answer = stack.post("tsa", "/api/v1/timestamp", (tmp_path / "query").read_bytes(), "application/timestamp-query")
    agrees("--type", "rfc3161", "--artifact", write(tmp_path / "answer.tsr", answer))


def test_tuf_metadata_of_the_stacks_own_repository(stack, agrees, tmp_path):
    root = write(tmp_path / "root.json", stack.get("tuf", "/1.root.json"))
    agrees("--type", "tuf", "--artifact", write(tmp_path / "timestamp.json", stack.get("tuf", "/timestamp.json")), "--public-key", root)


def test_rekord_x509(agrees, artifact, tmp_path):
    key = ed25519.Ed25519PrivateKey.generate()
    signature = write(tmp_path / "sig", key.sign(artifact.read_bytes()))
    public = write(tmp_path / "key.pem", pem(key))
    agrees("--type", "rekord", "--artifact", artifact, "--signature", signature, "--pki-format", "x509", "--public-key", public)


@pytest.mark.parametrize("prehashed", [True, False])
def test_rekord_minisign(agrees, artifact, tmp_path, prehashed):
    key = ed25519.Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    public = write(tmp_path / "key.pub", b"untrusted comment: key\n" + B64(b"Ed" + b"12345678" + raw) + b"\n")
    content = artifact.read_bytes()
    signed = key.sign(hashlib.blake2b(content).digest() if prehashed else content)
    whole = key.sign(signed + b"trusted")
    lines = [b"untrusted comment: x", B64((b"ED" if prehashed else b"Ed") + b"12345678" + signed), b"trusted comment: trusted", B64(whole)]
    signature = write(tmp_path / "sig", b"\n".join(lines) + b"\n")
    agrees("--type", "rekord", "--artifact", artifact, "--signature", signature, "--pki-format", "minisign", "--public-key", public)


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519", "ecdsa"])
def test_rekord_ssh(rekor_cli, agrees, artifact, tmp_path, algorithm):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", algorithm, "-N", "", "-C", "dev@corp.example", "-f", key], check=True)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", key, artifact], check=True, capture_output=True)
    signature, public = f"{artifact}.sig", f"{key}.pub"
    agrees("--type", "rekord", "--artifact", artifact, "--signature", signature, "--pki-format", "ssh", "--public-key", public)
    found = rekor_cli("search", "--pki-format", "ssh", "--public-key", public).accepted().output
    assert len(json.loads(found)["UUIDs"]) == 1


def test_alpine(agrees, tmp_path):
    def member(files: list[tuple[str, bytes]], *, end: bool) -> bytes:
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name, content in files:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            length = archive.offset
        return gzip.compress(tar.getvalue() if end else tar.getvalue()[:length], mtime=0)

    key = rsa.generate_private_key(65537, 2048)
    data = member([("usr/share/x", str(tmp_path).encode())], end=True)
    info = [
        "# Generated by abuild",
        "pkgname = fixture",
        "pkgdesc = one; two # three",
        "url = https://example.org/#x",
        "license = 'MIT'",
        'quoted = "a b"',
        "depend = a",
        "depend = so:libc.musl-x86_64.so.1",
        f"datahash = {hashlib.sha256(data).hexdigest()}",
    ]
    control = member([(".PKGINFO", "\n".join(info).encode() + b"\n")], end=False)
    signature = key.sign(control, padding.PKCS1v15(), hashes.SHA1())
    package = write(tmp_path / "x.apk", member([(".SIGN.RSA.x.rsa.pub", signature)], end=False) + control + data)
    body = agrees("--type", "alpine", "--artifact", package, "--public-key", write(tmp_path / "key.pem", pem(key)))
    assert body["AlpineModel"]["package"]["pkginfo"]["depend"] == "so:libc.musl-x86_64.so.1"


@pytest.mark.parametrize("options", [["-keyalg", "EC", "-groupname", "secp256r1"], ["-keyalg", "RSA", "-keysize", "2048"]], ids=["ec", "rsa"])
def test_jar(agrees, tmp_path, options):
    jar, store = tmp_path / "x.jar", ["-keystore", tmp_path / "keys", "-storepass", "changeit"]
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        archive.writestr("a/File.class", str(tmp_path))
    subprocess.run(["keytool", "-genkeypair", *store, "-alias", "x", *options, "-dname", "CN=x"], check=True, capture_output=True)
    subprocess.run(["jarsigner", *store, jar, "x"], check=True, capture_output=True)
    agrees("--type", "jar", "--artifact", jar)
