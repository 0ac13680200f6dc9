"""The keys of certificate and timestamp authority where an auditor wants them: cosign signs and
verifies the same with each, and what holds the keys may go away and come back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from clients import Cosign3
from conftest import EMAIL
from custody import BACKENDS
from services import Fulcio, Timestamp, trust


class Custody:
    """Both services with their keys in one backend, and a client that trusts them."""

    def __init__(self, kind: str, stack, folder: Path):
        self.kind, self.stack = kind, stack
        self.backend = BACKENDS[kind](folder / "keys")
        self.fulcio = Fulcio(folder / "fulcio", stack, self.backend.env)
        self.timestamp = Timestamp(folder / "timestamp", stack, self.backend.env)
        self.made = self.fulcio.make(self.backend.key("ca"), self.backend.passphrase)
        self.timestamp.make(self.backend.key("tsa"), self.backend.passphrase)
        self.before = self.backend.count("decryptions") if kind == "wrapped" else 0
        self.fulcio.start()
        self.timestamp.start()
        self.cosign = Cosign3(stack, folder / "home")
        urls = (self.fulcio.url, f"{self.timestamp.url}/api/v1/timestamp")
        self.trusted_root, self.signing_config = trust(
            stack, folder, [self.fulcio.entry()], [self.timestamp.entry()], urls
        )

    def sign(self, file: Path, bundle: Path):
        return self.cosign.run(
            "sign-blob", "--yes", "--identity-token", self.stack.token(EMAIL), "--bundle", bundle,
            "--signing-config", self.signing_config, "--trusted-root", self.trusted_root, file,
        )  # fmt: skip

    def verify(self, file: Path, bundle: Path, trusted_root: Path | None = None):
        return self.cosign.run(
            "verify-blob", "--bundle", bundle, "--trusted-root", trusted_root or self.trusted_root,
            *self.cosign.identity(EMAIL), file,
        )  # fmt: skip

    def stop(self):
        self.fulcio.stop()
        self.timestamp.stop()
        self.backend.stop()


@pytest.fixture(scope="module", params=list(BACKENDS))
def custody(request, stack, tmp_path_factory):
    custody = Custody(request.param, stack, tmp_path_factory.mktemp(f"custody-{request.param}"))
    yield custody
    custody.stop()


def test_cosign_signs_and_verifies_whatever_holds_the_keys(custody, stack, artifact, tmp_path):
    bundle = tmp_path / "bundle.json"
    custody.sign(artifact, bundle).accepted()
    custody.verify(artifact, bundle).accepted()
    # It is these authorities that signed: who does not know them refuses.
    custody.verify(artifact, bundle, stack.trust("trusted_root.json")).refused("certificate|timestamp")
    material = json.loads(bundle.read_text())["verificationMaterial"]
    assert material["timestampVerificationData"]["rfc3161Timestamps"]
    issued = custody.fulcio.audit()[-1]
    entry = json.loads((custody.fulcio.folder / "inventory.jsonl").read_text().splitlines()[-1])
    for record in (issued, entry):
        assert len(record["issuing_key_sha256"]) == 64
        version = {"pkcs11": "object=ca", "awskms": "arn:aws:kms:eu-central-1:", "transit": "ca:v1"}.get(custody.kind)
        assert version is None or record["issuing_key_version"].startswith(version), record


@pytest.mark.parametrize("custody", ["pkcs11", "awskms", "transit"], indirect=True)
def test_a_certificate_costs_two_signatures_of_the_backend(custody):
    before = custody.backend.signatures()
    assert custody.fulcio.certificate(EMAIL)[0] == 200
    assert custody.backend.signatures() - before == 2


@pytest.mark.parametrize("custody", ["wrapped"], indirect=True)
def test_a_wrapped_key_costs_one_call_of_the_backend_at_start(custody):
    # One for each service, before this one and after it.
    for _ in range(2):
        assert custody.backend.count("decryptions") - custody.before == 2
        assert custody.fulcio.certificate(EMAIL)[0] == 200
    assert custody.backend.signatures() == 0


def test_a_backend_that_goes_away_gives_clean_errors_and_comes_back_without_a_restart(custody, artifact, tmp_path):
    bundle = tmp_path / "bundle.json"
    custody.backend.take_away()
    try:
        begun = time.monotonic()
        status, answer = custody.fulcio.certificate(EMAIL)
        stamped, text = custody.timestamp.timestamp()
        assert time.monotonic() - begun < 30
        if not custody.backend.remote:
            assert (status, stamped) == (200, 200)
        else:
            assert (status, answer) == (503, {"code": 14, "message": "error communicating with CA backend", "details": []})
            assert stamped == 503 and json.loads(text)["message"] == "the timestamp authority's key is unavailable"
            custody.sign(artifact, bundle).refused("signing|certificate")
            assert not bundle.exists()
            failed = custody.fulcio.audit()[-1]
            assert failed["outcome"] == "failed" and "unavailable" in failed["reason"], failed
    finally:
        custody.backend.give_back()
    assert custody.fulcio.certificate(EMAIL)[0] == 200
    assert custody.timestamp.timestamp()[0] == 200
    custody.sign(artifact, bundle).accepted()
    custody.verify(artifact, bundle).accepted()


def readiness(service, expected: int) -> dict:
    """What `/readyz` says once it has seen the change: it holds what it found for seconds."""
    deadline = time.monotonic() + 20
    while (answer := service.get("/readyz"))[0] != expected:
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    return json.loads(answer[1])


def test_readiness_tells_that_a_key_cannot_sign(custody):
    services = (custody.fulcio, custody.timestamp)
    custody.backend.take_away()
    try:
        for service in services:
            if custody.backend.remote:
                answer = readiness(service, 503)
                assert answer["status"] == "NOT_READY" and list(answer["failures"]) == ["key"], answer
                assert not any(secret in json.dumps(answer) for secret in custody.backend.secrets)
            else:
                assert readiness(service, 200) == {"status": "READY"}
            assert service.get("/healthz")[0] == 200
    finally:
        custody.backend.give_back()
    for service in services:
        readiness(service, 200)


def test_no_secret_is_in_a_log_or_command_line_and_memory_is_not_dumped(custody):
    for service in (custody.fulcio, custody.timestamp):
        proc = Path("/proc") / str(service.process.pid)
        texts = [service.log.read_text(), proc.joinpath("cmdline").read_text()]
        texts += [path.read_text() for path in service.authority.rglob("*") if path.is_file() and path.suffix in (".json", ".txt")]
        for secret in custody.backend.secrets:
            assert not any(secret in text for text in texts)
        limit = next(line for line in proc.joinpath("limits").read_text().splitlines() if line.startswith("Max core file size"))
        assert limit.split()[4:6] == ["0", "0"], limit


@pytest.mark.parametrize("custody", ["awskms"], indirect=True)
def test_an_alias_that_names_another_key_stops_the_next_start(custody):
    custody.backend.point_alias("ca")
    # Whoever runs keeps the key that was opened.
    assert custody.fulcio.certificate(EMAIL)[0] == 200
    custody.fulcio.stop()
    refused = custody.fulcio.run("serve", "--config", custody.fulcio.folder / "config.yaml", code=2)
    assert "another key" in refused.stdout + refused.stderr
