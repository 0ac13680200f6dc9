"""TUF repositories in states that our writer never makes: what it published, with one thing changed and signed again.

A `Tree` starts as a copy of a repository that the tool under test published, with its keys, and is
changed through plain dictionaries. A `Lab` serves trees over loopback HTTP, one path for each test, and
can answer as a bad mirror would.
"""

from __future__ import annotations

import copy
import gzip
import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from securesystemslib.formats import encode_canonical

ROLES = ("root", "targets", "snapshot", "timestamp")
SHA256 = hashes.SHA256()

# Ways to write a key: its keytype and scheme.
FORMS = {
    "ecdsa": ("ecdsa", "ecdsa-sha2-nistp256"),
    "ecdsa-long": ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
    "ecdsa-hex": ("ecdsa", "ecdsa-sha2-nistp256"),
    "ecdsa-bare": ("ecdsa", "ecdsa-sha2-nistp256"),
    "p384": ("ecdsa", "ecdsa-sha2-nistp384"),
    "ed25519": ("ed25519", "ed25519"),
    "ed25519-pem": ("ed25519", "ed25519"),
    "rsa-pss": ("rsa", "rsassa-pss-sha256"),
    "rsa-pkcs1": ("rsa", "rsa-pkcs1v15-sha256"),
}


class Key:
    """A private key and the way its public half is written in root metadata."""

    def __init__(self, private=None, form: str = "ecdsa", extra: dict | None = None, keyid: str | None = None):
        self.form = form
        self.private = private if private is not None else self._generate(form)
        keytype, scheme = FORMS[form]
        self.listed = {"keytype": keytype, "scheme": scheme, "keyval": {"public": self._public()}, **(extra or {})}
        self.keyid = keyid or hashlib.sha256(encode_canonical(self.listed).encode()).hexdigest()

    @staticmethod
    def _generate(form: str):
        if form.startswith("ed25519"):
            return ed25519.Ed25519PrivateKey.generate()
        if form.startswith("rsa"):
            return rsa.generate_private_key(public_exponent=65537, key_size=3072)
        return ec.generate_private_key(ec.SECP384R1() if form == "p384" else ec.SECP256R1())

    def _public(self) -> str:
        public = self.private.public_key()
        raw = serialization.Encoding.Raw
        if self.form == "ed25519":
            return public.public_bytes(raw, serialization.PublicFormat.Raw).hex()
        if self.form == "ecdsa-hex":
            return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint).hex()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        return pem.rstrip("\n") if self.form == "ecdsa-bare" else pem

    def sign(self, data: bytes) -> str:
        if self.form.startswith("ed25519"):
            return self.private.sign(data).hex()
        if self.form == "rsa-pss":
            return self.private.sign(data, padding.PSS(padding.MGF1(SHA256), 32), SHA256).hex()
        if self.form == "rsa-pkcs1":
            return self.private.sign(data, padding.PKCS1v15(), SHA256).hex()
        return self.private.sign(data, ec.ECDSA(hashes.SHA384() if self.form == "p384" else SHA256)).hex()


class Tree:
    """A repository: what its documents say, who signs them, and the files that clients see."""

    def __init__(self, published: Path, keys: Path, passphrase: bytes):
        self.files = {str(p.relative_to(published)): p.read_bytes() for p in published.rglob("*") if p.is_file()}
        load = lambda role: serialization.load_pem_private_key((keys / f"{role}.pem").read_bytes(), passphrase)  # noqa: E731
        self.signers = {role: [Key(load(role))] for role in ROLES}
        self.roots = [json.loads(self.files["1.root.json"])]
        self.root_signers = [list(self.signers["root"])]
        read = lambda name: json.loads(self.files[name])["signed"]  # noqa: E731
        self.timestamp = read("timestamp.json")
        self.snapshot = read(f"{self.timestamp['meta']['snapshot.json']['version']}.snapshot.json")
        self.targets = read(f"{self.snapshot['meta']['targets.json']['version']}.targets.json")
        self.extra_signatures: dict[str, list[dict]] = {}
        own = {key["keyval"]["public"] for key in self.root["keys"].values()}
        assert own == {keys[0].listed["keyval"]["public"] for keys in self.signers.values()}, "not the keys of this repository"

    def copy(self) -> "Tree":
        fresh = copy.copy(self)
        fresh.files = dict(self.files)
        fresh.signers = {role: list(keys) for role, keys in self.signers.items()}
        for name in ("roots", "timestamp", "snapshot", "targets", "extra_signatures"):
            setattr(fresh, name, copy.deepcopy(getattr(self, name)))
        fresh.root_signers = [list(keys) for keys in self.root_signers]
        return fresh

    @property
    def root(self) -> dict:
        """What the newest root says."""
        return self.roots[-1]["signed"]

    def use(self, role: str, keys: list[Key], threshold: int = 1, *, also_sign: bool = True) -> None:
        """Lists these keys for a role in the newest root."""
        root = self.root
        root["roles"][role] = {"keyids": [key.keyid for key in keys], "threshold": threshold}
        root["keys"].update({key.keyid: key.listed for key in keys})
        used = {keyid for entry in root["roles"].values() for keyid in entry["keyids"]}
        root["keys"] = {keyid: key for keyid, key in root["keys"].items() if keyid in used}
        if also_sign:
            self.signers[role] = list(keys)
            if role == "root":
                self.root_signers[-1] = list(dict.fromkeys([*self.root_signers[-1], *keys])) if len(self.roots) > 1 else list(keys)

    def next_root(self) -> dict:
        """A new root with the same content; signed by the quorum of the one before and by its own."""
        signed = copy.deepcopy(self.root)
        signed["version"] += 1
        self.roots.append({"signed": signed, "signatures": []})
        self.root_signers.append(list(self.signers["root"]))
        return signed

    def next(self, *roles: str) -> None:
        """New versions of these roles, and of what has to follow them."""
        if "targets" in roles:
            self.targets["version"] += 1
            self.snapshot["meta"]["targets.json"]["version"] = self.targets["version"]
        if "snapshot" in roles or "targets" in roles:
            self.snapshot["version"] += 1
            self.timestamp["meta"]["snapshot.json"]["version"] = self.snapshot["version"]
        self.timestamp["version"] += 1

    def envelope(self, signed: dict, keys: list[Key], extra: list[dict] | None = None) -> bytes:
        data = encode_canonical(signed).encode()
        signatures = [{"keyid": key.keyid, "sig": key.sign(data)} for key in keys]
        signatures = sorted(signatures + (extra or []), key=lambda signature: signature["keyid"])
        # The form that our writer gives its documents: then only what was changed is strange about them.
        return (json.dumps({"signatures": signatures, "signed": signed}, indent=2, sort_keys=True) + "\n").encode()

    def build(self) -> "Tree":
        """Signs everything and writes it over the files of before, which stay where they have other names."""
        for entry, keys in zip(self.roots, self.root_signers):
            name = f"{entry['signed']['version']}.root.json"
            self.files[name] = self.envelope(entry["signed"], keys, self.extra_signatures.get("root"))
        self.files["root.json"] = self.files[name]
        for role in ("targets", "snapshot", "timestamp"):
            signed = getattr(self, role)
            name = "timestamp.json" if role == "timestamp" else f"{signed['version']}.{role}.json"
            self.files[name] = self.envelope(signed, self.signers[role], self.extra_signatures.get(role))
        return self

    def target(self, name: str = "trusted_root.json") -> str:
        """Path of a target file."""
        return f"targets/{self.targets['targets'][name]['hashes']['sha256']}.{name}"


class Lab:
    """Trees behind URLs. `answer` may replace what is said to one request."""

    def __init__(self):
        self.trees: dict[str, Tree] = {}
        self.answers: dict[str, Callable[[str], tuple[int, bytes] | None]] = {}
        self.zipped: set[str] = set()
        self.down: set[str] = set()
        lab = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # One packet an answer: in two, each would wait for an acknowledgement.
            wbufsize = 1 << 20

            def do_GET(self):
                _, name, path = self.path.split("/", 2)
                lab.serve(self, name, path)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def serve(self, request: BaseHTTPRequestHandler, name: str, path: str) -> None:
        if name in self.down:
            request.close_connection = True
            return
        status, body = self.answers.get(name, lambda _: None)(path) or self.file(name, path)
        zipped = name in self.zipped and "gzip" in request.headers.get("Accept-Encoding", "")
        body = gzip.compress(body) if zipped else body
        request.send_response(status)
        if zipped:
            request.send_header("Content-Encoding", "gzip")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def file(self, name: str, path: str) -> tuple[int, bytes]:
        """Strict: another spelling of a path is another path."""
        tree = self.trees.get(name)
        found = tree.files.get(path) if tree else None
        return (404, b"not found\n") if found is None else (200, found)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
