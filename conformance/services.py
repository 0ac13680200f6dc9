"""A certificate authority and a timestamp authority that run apart, beside the rest of a stack.

Their certificates come from `ca init` and `chain init`; clients are told of them by the trust-root
entries that those commands write.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stack import Stack, free_port, sigkeep_binary


class Service:
    """One service on a free port."""

    command: str
    listen: int

    def __init__(self, folder: Path, stack: Stack, env: dict[str, str]):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.stack = folder, stack
        self.env = {**os.environ, **env}
        self.port = free_port()
        self.metrics_port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.authority = folder / "authority"
        self.log = folder / "log"
        self.process: subprocess.Popen | None = None

    def run(self, *arguments, code: int | None = 0) -> subprocess.CompletedProcess:
        """One of the service's commands."""
        command = [sigkeep_binary(), self.command, *arguments]
        done = subprocess.run(list(map(str, command)), env=self.env, capture_output=True, text=True, timeout=60)
        assert code is None or done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def configuration(self) -> str:
        raise NotImplementedError

    def start(self) -> "Service":
        config = self.folder / "config.yaml"
        config.write_text(self.configuration() + f"server:\n  listen: 127.0.0.1:{self.port}\n  metrics: 127.0.0.1:{self.metrics_port}\n")
        command = [str(sigkeep_binary()), self.command, "serve", "--config", str(config)]
        self.process = subprocess.Popen(command, env=self.env, stdout=self.log.open("ab"), stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 30
        while self.get("/readyz")[0] != 200:
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(30) == 0, self.log.read_text()
            self.process = None

    def get(self, path: str) -> tuple[int, bytes]:
        return self.ask(urllib.request.Request(self.url + path))

    def ask(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError as error:
            return 0, str(error).encode()

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def entry(self, generation: int = 1) -> dict:
        return json.loads((self.authority / str(generation) / "trust-root-entry.json").read_text())


class Fulcio(Service):
    """Issues under the root of the stack's own authority, which its CT log accepts."""

    command = "fulcio"

    def make(self, key: str, passphrase: Path, *more) -> dict:
        data = self.stack.data_dir
        pem = (data / "certificates/fulcio-chain.pem").read_text()
        root = self.folder / "root.pem"
        root.write_text("-----BEGIN" + pem.split("-----BEGIN")[-1])
        self.passphrase = passphrase
        done = self.run(
            "ca", "init", self.authority, "--organization", "Corp", "--url", self.url,
            "--root-certificate", root, "--root-key", f"file:{data / 'keys/fulcio-root.pem'}",
            "--root-passphrase-file", data / "passphrase", "--key", key, "--passphrase-file", passphrase, "--json", *more,
        )  # fmt: skip
        return json.loads(done.stdout)

    def configuration(self) -> str:
        data = self.stack.data_dir
        return (
            f"issuers: {data / 'fulcio.yaml'}\nauthority: {self.authority}\npassphrase:\n  file: {self.passphrase}\n"
            f"ct-log-url: {self.stack.endpoints['ct']}\nct-log-public-key: {data / 'certificates/ct.pub'}\n"
            f"inventory: {self.folder / 'inventory.jsonl'}\n"
        )

    def certificate(self, email: str) -> tuple[int, dict]:
        """Asks for a certificate as a client does, and returns what came."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        proof = key.sign(email.encode(), ec.ECDSA(hashes.SHA256()))
        body = {
            "credentials": {"oidcIdentityToken": self.stack.token(email)},
            "publicKeyRequest": {
                "publicKey": {"algorithm": "ECDSA", "content": pem.decode()},
                "proofOfPossession": base64.b64encode(proof).decode(),
            },
        }
        request = urllib.request.Request(
            self.url + "/api/v2/signingCert", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        status, answer = self.ask(request)
        return status, json.loads(answer)

    def audit(self) -> list[dict]:
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line.get("target") == "audit"]


class Timestamp(Service):
    command = "timestamp"

    def make(self, key: str, passphrase: Path) -> dict:
        self.passphrase = passphrase
        # Its own root is a file, whatever holds the leaf's key.
        root_passphrase = self.folder / "root-passphrase"
        root_passphrase.write_text("the root's\n")
        done = self.run(
            "chain", "init", self.authority, "--organization", "Corp", "--url", f"{self.url}/api/v1/timestamp",
            "--root-passphrase-file", root_passphrase, "--key", key, "--passphrase-file", passphrase, "--json",
        )  # fmt: skip
        return json.loads(done.stdout)

    def configuration(self) -> str:
        return f"authority: {self.authority}\npassphrase:\n  file: {self.passphrase}\n"

    def timestamp(self) -> tuple[int, bytes]:
        body = {"artifactHash": base64.b64encode(bytes(32)).decode(), "hashAlgorithm": "sha256"}
        request = urllib.request.Request(
            self.url + "/api/v1/timestamp", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        return self.ask(request)


def trust(stack: Stack, folder: Path, fulcio: list[dict], timestamp: list[dict], urls: tuple[str, str]) -> tuple[Path, Path]:
    """The stack's trusted root with these entries, and a signing config that sends clients there."""
    root = json.loads(stack.trust("trusted_root.json").read_text())
    root["certificateAuthorities"] += fulcio
    root["timestampAuthorities"] += timestamp
    signing = json.loads(stack.trust("signing_config.v0.2.json").read_text())
    signing["caUrls"][0]["url"], signing["tsaUrls"][0]["url"] = urls
    trusted_root, signing_config = folder / "trusted_root.json", folder / "signing_config.json"
    trusted_root.write_text(json.dumps(root, indent=2))
    signing_config.write_text(json.dumps(signing, indent=2))
    return trusted_root, signing_config
