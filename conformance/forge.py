"""Bundles that are wrong in exactly one way.

Two kinds: honest bundles altered afterwards, and bundles made from scratch with the stack's own
CA key, to reach states that the services never produce (a certificate without SCT, an expired
certificate). A control test shows that a bundle from scratch with nothing wrong is accepted, so
that each refusal has the one reason that was forged.
"""

from __future__ import annotations

import base64
import copy
import datetime
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from stack import Stack

SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
FULCIO = "1.3.6.1.4.1.57264.1."


def alter(bundle: Path, change: Callable[[dict], None]) -> Path:
    """A copy of a bundle with one change."""
    document = json.loads(bundle.read_text())
    altered = copy.deepcopy(document)
    change(altered)
    assert altered != document, "the change changed nothing"
    out = bundle.with_name(f"altered-{change.__name__}.json")
    out.write_text(json.dumps(altered))
    return out


def flip_bit(text: str, at: int = -4) -> str:
    """Base64 text with one bit of its content flipped."""
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return base64.b64encode(raw).decode()


def entry_of(bundle: dict) -> dict:
    return bundle["verificationMaterial"]["tlogEntries"][0]


def inclusion_hash(bundle: dict) -> None:
    hashes_ = entry_of(bundle)["inclusionProof"]["hashes"]
    hashes_[0] = flip_bit(hashes_[0])


def checkpoint_signature(bundle: dict) -> None:
    checkpoint = entry_of(bundle)["inclusionProof"]["checkpoint"]
    body, line = checkpoint["envelope"].rsplit(" ", 1)
    checkpoint["envelope"] = f"{body} {flip_bit(line.strip())}\n"


def checkpoint_root(bundle: dict) -> None:
    proof = entry_of(bundle)["inclusionProof"]
    lines = proof["checkpoint"]["envelope"].split("\n")
    lines[2] = flip_bit(lines[2])
    proof["checkpoint"]["envelope"] = "\n".join(lines)


def signed_entry_timestamp(bundle: dict) -> None:
    promise = entry_of(bundle)["inclusionPromise"]
    promise["signedEntryTimestamp"] = flip_bit(promise["signedEntryTimestamp"])


def no_time(bundle: dict) -> None:
    """Nothing left that says when the signature was made."""
    entry = entry_of(bundle)
    del entry["inclusionPromise"]
    entry["integratedTime"] = "0"
    bundle["verificationMaterial"].pop("timestampVerificationData", None)


class Authority:
    """The stack's issuing CA, its key taken from the data directory."""

    def __init__(self, stack: Stack):
        self.stack = stack
        chain = json.loads(stack.get("fulcio", "/api/v2/trustBundle"))["chains"][0]["certificates"]
        self.chain = [x509.load_pem_x509_certificate(pem.encode()) for pem in chain]
        self.key = self._private_key(stack.data_dir)

    def _private_key(self, data_dir: Path):
        """Whichever of the stack's encrypted keys belongs to the issuing certificate."""
        passphrase = next(data_dir.rglob("passphrase")).read_bytes().strip()
        spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        wanted = self.chain[0].public_key().public_bytes(*spki)
        for file in data_dir.rglob("*"):
            if not file.is_file() or b"ENCRYPTED PRIVATE KEY" not in file.read_bytes()[:64]:
                continue
            key = serialization.load_pem_private_key(file.read_bytes(), passphrase)
            if key.public_key().public_bytes(*spki) == wanted:
                return key
        raise AssertionError("the issuing CA's key is not in the data directory")

    def leaf(self, key, email: str, not_before: datetime.datetime, *, sct: bool) -> x509.Certificate:
        issuer = self.chain[0]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_before)
            .not_valid_after(not_before + datetime.timedelta(minutes=10))
            .add_extension(x509.KeyUsage(True, *[False] * 8), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                    issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
                ),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(email)]), critical=True)
        )
        oidc = self.stack.endpoints["oidc"].encode()
        utf8 = bytes([0x0C, len(oidc)]) + oidc
        for number, value in ((1, oidc), (8, utf8)):
            extension = x509.UnrecognizedExtension(ObjectIdentifier(f"{FULCIO}{number}"), value)
            builder = builder.add_extension(extension, critical=False)
        if sct:
            precertificate = builder.add_extension(x509.PrecertPoison(), critical=True).sign(self.key, hashes.SHA256())
            builder = builder.add_extension(
                x509.UnrecognizedExtension(SCT_LIST, self._sct_list(precertificate)), critical=False
            )
        return builder.sign(self.key, hashes.SHA256())

    def _sct_list(self, precertificate: x509.Certificate) -> bytes:
        der = [certificate.public_bytes(serialization.Encoding.DER) for certificate in (precertificate, *self.chain)]
        body = json.dumps({"chain": [base64.b64encode(one).decode() for one in der]}).encode()
        answer = json.loads(self.stack.post("ct", "/ct/v1/add-pre-chain", body))
        extensions = base64.b64decode(answer["extensions"])
        sct = (
            b"\0" + base64.b64decode(answer["id"]) + struct.pack(">QH", answer["timestamp"], len(extensions)) + extensions
            + base64.b64decode(answer["signature"])
        )  # fmt: skip
        tls = struct.pack(">HH", len(sct) + 2, len(sct)) + sct
        assert len(tls) < 128
        return bytes([0x04, len(tls)]) + tls

    def bundle(self, file: Path, email: str, out: Path, *, sct: bool = True, age: datetime.timedelta | None = None) -> Path:
        """Signs `file` from scratch, logs it in Rekor, and writes the bundle."""
        now = datetime.datetime.now(datetime.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self.leaf(key, email, now - (age or datetime.timedelta(seconds=5)), sct=sct)
        data = file.read_bytes()
        signature = key.sign(data, ec.ECDSA(hashes.SHA256()))
        digest = hashlib.sha256(data)
        b64 = lambda raw: base64.b64encode(raw).decode()  # noqa: E731
        proposed = {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": digest.hexdigest()}},
                "signature": {
                    "content": b64(signature),
                    "publicKey": {"content": b64(leaf.public_bytes(serialization.Encoding.PEM))},
                },
            },
        }
        answer = json.loads(self.stack.post("rekor", "/api/v1/log/entries", json.dumps(proposed).encode()))
        (entry,) = answer.values()
        proof = entry["verification"]["inclusionProof"]
        document = {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(leaf.public_bytes(serialization.Encoding.DER))},
                "tlogEntries": [
                    {
                        "logIndex": str(entry["logIndex"]),
                        "logId": {"keyId": b64(bytes.fromhex(entry["logID"]))},
                        "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
                        "integratedTime": str(entry["integratedTime"]),
                        "inclusionPromise": {"signedEntryTimestamp": entry["verification"]["signedEntryTimestamp"]},
                        "inclusionProof": {
                            "logIndex": str(proof["logIndex"]),
                            "rootHash": b64(bytes.fromhex(proof["rootHash"])),
                            "treeSize": str(proof["treeSize"]),
                            "hashes": [b64(bytes.fromhex(one)) for one in proof["hashes"]],
                            "checkpoint": {"envelope": proof["checkpoint"]},
                        },
                        "canonicalizedBody": entry["body"],
                    }
                ],
            },
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": b64(digest.digest())},
                "signature": b64(signature),
            },
        }
        out.write_text(json.dumps(document))
        return out
