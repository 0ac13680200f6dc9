"""The services run apart, each with its own configuration, on a clock that the test moves.

The identity provider is a key pair: Fulcio has the public half in a file, as behind an air gap.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from clock import Clock
from rekor import Proposals, Rekor
from stack import free_port, sigkeep_binary

ISSUER = "https://login.corp.example"


class Service:
    """One `sigkeep … serve`."""

    def __init__(self, clock: Clock, name: str, url: str, arguments: list):
        self.clock, self.name, self.url, self.arguments = clock, name, url, arguments
        self.log = clock.file.with_name(f"{name}.log")
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = self.clock.command(sigkeep_binary(), *self.arguments)
        self.process = subprocess.Popen(command, stdout=self.log.open("ab"), stderr=subprocess.STDOUT)
        self.wait(lambda: self.status("/readyz") == 200)

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read()

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as answer:
            return answer.code
        except OSError:
            return 0

    def wait(self, done, patience: float = 30) -> None:
        """Until `done` says so."""
        deadline = time.monotonic() + patience
        while not done():
            assert self.process.poll() is None, f"{self.name} ended:\n{self.output()}"
            assert time.monotonic() < deadline, f"{self.name}: not within {patience} s:\n{self.output()}"
            time.sleep(0.02)

    def output(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(30) == 0, self.output()
            self.process = None


class Authority:
    """The certificates of a service: generations, of which one signs."""

    def __init__(self, deployment: Deployment, service: Service, program: tuple[str, str], url: str):
        self.deployment, self.service, self.program = deployment, service, program
        self.directory = deployment.folder / f"{service.name}-authority"
        self.generation = 1
        self.call("init", "--organization", "Corp", "--url", url)

    def call(self, command: str, *arguments) -> None:
        passphrase = self.deployment.passphrase
        secrets = [] if command == "activate" else ["--root-passphrase-file", passphrase, "--passphrase-file", passphrase]
        self.deployment.tool(*self.program, command, self.directory, *arguments, *secrets)

    def chain(self, generation: int = 1) -> Path:
        return self.directory / str(generation) / "chain.pem"

    def next(self) -> Path:
        """Another one under the same root, which does not sign yet; its chain."""
        self.call("next")
        self.generation += 1
        return self.chain(self.generation)

    def activate(self, trusted_root: Path) -> None:
        """The newest one signs, without a restart; refused unless it is in this trusted root."""
        self.call("activate", "--trusted-root", trusted_root)
        first = self.chain(self.generation).read_text().split("-----END")[0]
        self.service.wait(lambda: first in self.offered())

    def offered(self) -> str:
        """The certificates that the service says it signs with."""
        if self.program[0] == "timestamp":
            return self.service.get("/api/v1/timestamp/certchain").decode()
        return "".join(json.loads(self.service.get("/api/v2/trustBundle"))["chains"][0]["certificates"])


class Deployment:
    """Certificate authority, logs and timestamp authority, and what is needed to rotate their keys."""

    def __init__(self, folder: Path, clock: Clock):
        self.folder, self.clock = folder, clock
        folder.mkdir(parents=True)
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text("a passphrase for tests\n")
        ports = {name: free_port() for name in ("fulcio", "rekor", "tsa")}
        self.endpoints = {name: f"http://localhost:{port}" for name, port in ports.items()}
        self.endpoints |= {"ct": self.ct_url("ct-1"), "oidc": ISSUER}
        self.login = rsa.generate_private_key(65537, 2048)
        self.fulcio = self.service("fulcio", self.endpoints["fulcio"])
        self.rekor = self.service("rekor", self.endpoints["rekor"])
        self.timestamp = self.service("timestamp", self.endpoints["tsa"])
        self.ca = Authority(self, self.fulcio, ("fulcio", "ca"), self.endpoints["fulcio"])
        self.tsa = Authority(self, self.timestamp, ("timestamp", "chain"), f"{self.endpoints['tsa']}/api/v1/timestamp")
        # In the order of their use; the last one signs.
        self.shards = [self.key("rekor-1")]
        self.ct_logs = [self.key("ct-1")]
        self.configure()
        for service in (self.rekor, self.fulcio, self.timestamp):
            service.start()
        self.first_entry()

    def stop(self) -> None:
        for service in (self.fulcio, self.timestamp, self.rekor):
            service.stop()

    def tool(self, *arguments) -> str:
        command = self.clock.command(sigkeep_binary(), *arguments)
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def key(self, name: str) -> Path:
        """Makes a key; the file with its public half."""
        public = self.folder / f"{name}.pub"
        public.write_text(self.tool("key", "create", f"file:{name}.pem", "--passphrase-file", self.passphrase))
        return public

    def ct_url(self, name: str) -> str:
        return f"{self.endpoints['rekor']}/{name}"

    def service(self, name: str, url: str) -> Service:
        return Service(self.clock, name, url, [name, "serve", "--config", self.folder / f"{name}.yaml"])

    def configure(self) -> None:
        """Writes what the services read when they start."""
        port = lambda service: service.url.rsplit(":", 1)[1]  # noqa: E731
        numbers = self.login.public_key().public_numbers()
        jwk = {"kty": "RSA", "kid": "login", "use": "sig", "alg": "RS256", "n": b64url(numbers.n), "e": b64url(numbers.e)}
        (self.folder / "login.json").write_text(json.dumps({"keys": [jwk]}))
        (self.folder / "identity.yaml").write_text(f"oidc-issuers:\n  {ISSUER}: {{client-id: sigstore, type: email}}\n")
        shared = {"passphrase": {"file": str(self.passphrase)}}
        fulcio = {
            "issuers": str(self.folder / "identity.yaml"),
            "pinned-jwks": {ISSUER: str(self.folder / "login.json")},
            "authority": str(self.ca.directory),
            "ct-log-url": self.ct_url(self.ct_logs[-1].stem),
            "ct-log-public-key": str(self.ct_logs[-1]),
            "server": {"listen": f"127.0.0.1:{port(self.fulcio)}"},
        }
        logs = [{"kind": "rekor-v1", "key": f"file:{shard.with_suffix('.pem')}"} for shard in self.shards]
        logs += [{"kind": "ct", "origin": log.stem, "key": f"file:{log.with_suffix('.pem')}"} for log in self.ct_logs]
        rekor = {
            "hostname": "localhost",
            "logs": logs,
            "guard-dir": str(self.folder / "guards"),
            "ct-roots": str(self.ca.chain()),
            "server": {"listen": f"127.0.0.1:{port(self.rekor)}", "database": f"sqlite:{self.folder / 'rekor.db'}"},
        }
        timestamp = {
            "authority": str(self.tsa.directory),
            "server": {"listen": f"127.0.0.1:{port(self.timestamp)}"},
        }
        for name, config in (("fulcio", fulcio), ("rekor", rekor), ("timestamp", timestamp)):
            (self.folder / f"{name}.yaml").write_text(json.dumps(config | shared, indent=1))

    def use_ct_log(self, key: Path) -> None:
        self.ct_logs.append(key)
        self.restart(self.rekor)
        self.restart(self.fulcio)

    def use_shard(self, shard: Path) -> None:
        """The log goes on in a shard with this key. (On SQLite the service stands still meanwhile.)"""
        self.rekor.stop()
        self.shards.append(shard)
        self.configure()
        self.tool("rekor", "log", "rotate", "--config", self.folder / "rekor.yaml")
        self.rekor.start()

    def restart(self, service: Service) -> None:
        service.stop()
        self.configure()
        service.start()

    def first_entry(self) -> None:
        """Some clients cannot read a bundle whose entry is the only one in its tree."""
        status, answer = Rekor(self.endpoints["rekor"]).call("POST", "/api/v1/log/entries", Proposals().next())
        assert status == 201, answer

    def token(self, email: str) -> str:
        """What the identity provider would sign for somebody who logs in now."""
        now = int(self.clock.now().timestamp())
        claims = {"iss": ISSUER, "aud": "sigstore", "sub": email, "email": email, "email_verified": True, "iat": now, "exp": now + 600}
        parts = [b64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "login", "typ": "JWT"}, claims)]
        signed = ".".join(parts)
        return f"{signed}.{b64url(self.login.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def b64url(value: bytes | int) -> str:
    if isinstance(value, int):
        value = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def fingerprints(file: Path) -> list[str]:
    """Of every certificate of a chain, signing end first, or of a public key."""
    pem, form = file.read_bytes(), serialization.Encoding.DER
    if b"CERTIFICATE" in pem:
        ders = [certificate.public_bytes(form) for certificate in x509.load_pem_x509_certificates(pem)]
    else:
        ders = [serialization.load_pem_public_key(pem).public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo)]
    return [hashlib.sha256(der).hexdigest() for der in ders]
