"""Where keys can be: files, an HSM, a KMS, a transit engine. Each can be taken away and given back."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from stack import ROOT, TARGET

DOUBLES = ROOT / "crates/keys/tests/it"
PIN = "the-pin-of-conformance"


class Files:
    """Encrypted key files: nothing to take away."""

    remote = False
    secrets = ["correct horse battery"]

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.folder = folder
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(self.secrets[0] + "\n")
        self.env: dict[str, str] = {}

    def key(self, name: str) -> str:
        return f"file:{self.folder / name}.pem"

    def take_away(self) -> None:
        pass

    def give_back(self) -> None:
        pass

    def stop(self) -> None:
        pass


class Hsm:
    """SoftHSM, behind a module that can pull the token out."""

    remote = True
    secrets = [PIN]

    def __init__(self, folder: Path):
        (folder / "tokens").mkdir(parents=True)
        self.faults = folder / "faults"
        self.faults.mkdir()
        self.pin = self.passphrase = folder / "pin"
        self.pin.write_text(PIN + "\n")
        (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
        self.behind = next(path for path in SOFTHSM if Path(path).exists())
        self.module = folder / "fault.so"
        compile_ = ["cc", "-O1", "-shared", "-fPIC", "-pthread", "-o", self.module, DOUBLES / "pkcs11/fault.c", "-ldl"]
        subprocess.run(compile_, check=True)
        self.env = {
            "SOFTHSM2_CONF": str(folder / "softhsm2.conf"),
            "KEYS_TEST_MODULE": self.behind,
            "KEYS_TEST_FAULTS": str(self.faults),
        }
        self._tool("softhsm2-util", "--init-token", "--free", "--label", "sigkeep", "--pin", PIN, "--so-pin", "5555")

    def key(self, name: str) -> str:
        return f"pkcs11:token=sigkeep;object={name}?module-path={self.module}&pin-source=file:{self.pin}"

    def kek(self) -> str:
        login = ["--module", self.behind, "--token-label", "sigkeep", "--login", "--pin", PIN]
        self._tool("pkcs11-tool", *login, "--keygen", "--key-type", "AES:32", "--label", "kek", "--sensitive")
        return self.key("kek")

    def count(self, what: str) -> int:
        counter = self.faults / what
        return counter.stat().st_size if counter.exists() else 0

    def signatures(self) -> int:
        return self.count("signatures")

    def take_away(self) -> None:
        (self.faults / "unplugged").touch()

    def give_back(self) -> None:
        (self.faults / "unplugged").unlink()

    def stop(self) -> None:
        pass

    def _tool(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **self.env})


SOFTHSM = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
]


class Wrapped(Hsm):
    """Files that a key in the HSM encrypts: the HSM is needed at the start only."""

    remote = False

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.folder = folder
        self.kek_uri = self.kek()

    def key(self, name: str) -> str:
        if name == "kek":
            return super().key(name)
        return f"wrapped:{self.folder / name}.json?kek={quote(self.kek_uri, safe='')}&context={name}"


class Kms:
    """moto's KMS, made honest by the launcher of the key tests."""

    remote = True
    secrets = ["not-so-secret-testing-key"]

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.folder = folder
        self.passphrase = folder / "unused"
        self.passphrase.write_text("unused\n")
        self.python = TARGET / "moto/bin/python"
        assert self.python.exists(), "moto is not installed: run .ci/moto"
        command = [self.python, DOUBLES / "awskms/server.py", folder]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.endpoint = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        self.env = {
            "AWS_ENDPOINT_URL_KMS": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": self.secrets[0],
            "AWS_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }

    def key(self, name: str) -> str:
        return f"awskms:///alias/{name}"

    def signatures(self) -> int:
        counter = self.folder / "signatures"
        return counter.stat().st_size if counter.exists() else 0

    def point_alias(self, alias: str) -> None:
        """Lets the alias name another key, as an operator's mistake would."""
        script = (
            "import boto3, sys; kms = boto3.client('kms', endpoint_url=sys.argv[1], region_name='eu-central-1');"
            "key = kms.create_key(KeySpec='ECC_NIST_P256', KeyUsage='SIGN_VERIFY')['KeyMetadata']['KeyId'];"
            "kms.update_alias(AliasName=sys.argv[2], TargetKeyId=key)"
        )
        command = [self.python, "-c", script, self.endpoint, f"alias/{alias}"]
        subprocess.run(command, check=True, env={**os.environ, **self.env})

    def take_away(self) -> None:
        (self.folder / "fail").write_text("1000000")

    def give_back(self) -> None:
        (self.folder / "fail").unlink()

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Transit:
    """The transit engine of Vault and OpenBao, as far as signing needs it, with real keys.

    `docs/keys.md` says how to run against the real one; what differs there is TLS and policies.
    """

    remote = True
    secrets = ["s.conformance-token"]

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.passphrase = folder / "unused"
        self.passphrase.write_text("unused\n")
        self.token = folder / "token"
        self.token.write_text(self.secrets[0] + "\n")
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.sealed = False
        self.signed = 0
        self.env: dict[str, str] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def key(self, name: str) -> str:
        address = quote(f"http://127.0.0.1:{self.server.server_port}", safe="")
        return f"hashivault://{name}?address={address}&token-file={self.token}"

    def signatures(self) -> int:
        return self.signed

    def take_away(self) -> None:
        self.sealed = True

    def give_back(self) -> None:
        self.sealed = False

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _handler(transit):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer(*transit._answer("GET", self.path, {}, self.headers))

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
                self.answer(*transit._answer("POST", self.path, body, self.headers))

            def answer(self, status: int, document: dict):
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def _answer(self, method: str, path: str, body: dict, headers) -> tuple[int, dict]:
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if headers["X-Vault-Token"] != self.secrets[0]:
            return 403, {"errors": ["permission denied"]}
        if key := re.fullmatch(r"/v1/transit/keys/([\w.-]+)", path):
            name = key[1]
            if method == "POST":
                assert body["type"] == "ecdsa-p256" and not body["exportable"], body
                self.keys.setdefault(name, ec.generate_private_key(ec.SECP256R1()))
            elif name not in self.keys:
                return 404, {"errors": []}
            return 200, {"data": self._describe(name)}
        if sign := re.fullmatch(r"/v1/transit/sign/([\w.-]+)/sha2-256", path):
            digest = base64.b64decode(body["input"])
            if not body["prehashed"] or body["marshaling_algorithm"] != "asn1" or len(digest) != 32 or body["key_version"] not in (0, 1):
                return 400, {"errors": ["not a prehashed SHA-256 digest for version 1"]}
            self.signed += 1
            signature = self.keys[sign[1]].sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
            return 200, {"data": {"signature": "vault:v1:" + base64.b64encode(signature).decode()}}
        return 404, {"errors": []}

    def _describe(self, name: str) -> dict:
        pem = self.keys[name].public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "type": "ecdsa-p256",
            "latest_version": 1,
            "exportable": False,
            "allow_plaintext_backup": False,
            "keys": {"1": {"public_key": pem.decode()}},
        }


BACKENDS = {"file": Files, "pkcs11": Hsm, "awskms": Kms, "transit": Transit, "wrapped": Wrapped}
