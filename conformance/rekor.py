"""An auditor's view of a Rekor v1 log: it believes nothing that it has not recomputed.

Written from RFC 6962 and the public API alone, so that a fault in the service's own proof code
cannot hide here too.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import threading
import time
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(body: bytes) -> bytes:
    return sha256(b"\0", body)


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.3.2."""
    assert 0 <= index < size
    fn, sn, root = index, size - 1, leaf
    for sibling in proof:
        assert sn != 0, "the proof is too long"
        if fn & 1 or fn == sn:
            root = sha256(b"\1", sibling, root)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            root = sha256(b"\1", root, sibling)
        fn >>= 1
        sn >>= 1
    assert sn == 0, "the proof is too short"
    return root


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> None:
    """RFC 9162 section 2.1.4.2."""
    assert 0 < old <= new
    if old == new:
        assert not proof and old_root == new_root
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    first = second = path[0]
    for sibling in path[1:]:
        assert sn != 0, "the proof is too long"
        if fn & 1 or fn == sn:
            first = sha256(b"\1", sibling, first)
            second = sha256(b"\1", sibling, second)
            while not fn & 1 and fn:
                fn >>= 1
                sn >>= 1
        else:
            second = sha256(b"\1", second, sibling)
        fn >>= 1
        sn >>= 1
    assert (first, second, sn) == (old_root, new_root, 0), "the proof does not connect the two trees"


class Rekor:
    """One keep-alive connection to a Rekor v1 API."""

    def __init__(self, url: str):
        self.address = urllib.parse.urlsplit(url).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=30)

    def call(self, method: str, path: str, document: object = None) -> tuple[int, object]:
        body = None if document is None else json.dumps(document)
        self.connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def get(self, path: str) -> object:
        status, document = self.call("GET", path)
        assert status == 200, (status, document)
        return document

    def public_key(self) -> ec.EllipticCurvePublicKey:
        self.connection.request("GET", "/api/v1/log/publicKey")
        return serialization.load_pem_public_key(self.connection.getresponse().read())

    def checkpoint(self) -> tuple[int, bytes]:
        """Size and root of the newest checkpoint, its signature verified."""
        return verified_checkpoint(self.get("/api/v1/log")["signedTreeHead"], self.public_key())

    def consistency(self, old: int, new: int) -> list[bytes]:
        answer = self.get(f"/api/v1/log/proof?firstSize={old}&lastSize={new}")
        return [bytes.fromhex(one) for one in answer["hashes"]]


def verified_checkpoint(note: str, key: ec.EllipticCurvePublicKey) -> tuple[int, bytes]:
    text, signatures = note.split("\n\n")
    (line,) = signatures.splitlines()
    dash, name, encoded = line.split(" ")
    signed = base64.b64decode(encoded)
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert dash == "—" and signed[:4] == sha256(spki)[:4]
    key.verify(signed[4:], f"{text}\n".encode(), ec.ECDSA(hashes.SHA256()))
    origin, size, root = text.split("\n")[:3]
    assert re.fullmatch(re.escape(name) + r" - \d+", origin)
    return int(size), base64.b64decode(root)


def check_entry(answer: dict, key: ec.EllipticCurvePublicKey) -> tuple[int, bytes]:
    """Recomputes everything an entry claims; returns its global index and leaf hash."""
    ((entry_id, entry),) = answer.items()
    body = base64.b64decode(entry["body"])
    leaf = leaf_hash(body)
    assert entry_id[16:] == leaf.hex()
    proof = entry["verification"]["inclusionProof"]
    path = [bytes.fromhex(one) for one in proof["hashes"]]
    root = root_from_inclusion(proof["logIndex"], proof["treeSize"], leaf, path)
    assert root.hex() == proof["rootHash"]
    assert verified_checkpoint(proof["checkpoint"], key) == (proof["treeSize"], root)
    promise = {name: entry[name] for name in ("body", "integratedTime", "logID", "logIndex")}
    canonical = json.dumps(promise, sort_keys=True, separators=(",", ":")).encode()
    key.verify(base64.b64decode(entry["verification"]["signedEntryTimestamp"]), canonical, ec.ECDSA(hashes.SHA256()))
    return entry["logIndex"], leaf


class Proposals:
    """Distinct, valid hashedrekord submissions."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        pem = self.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.pem = base64.b64encode(pem).decode()

    def next(self) -> dict:
        data = os.urandom(32)
        signature = self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        return {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}},
                "signature": {"content": base64.b64encode(signature).decode(), "publicKey": {"content": self.pem}},
            },
        }


def keep_posting(url: str, stop: threading.Event, use) -> None:
    """Posts distinct entries until told to stop, over servers that die; `use` gets connection, status and answer."""
    proposals, rekor = Proposals(), None
    while not stop.is_set():
        try:
            rekor = rekor or Rekor(url)
            status, answer = rekor.call("POST", "/api/v1/log/entries", proposals.next())
        except (OSError, http.client.HTTPException):
            rekor = None
            time.sleep(0.05)
            continue
        use(rekor, status, answer)
