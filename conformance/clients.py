"""The unmodified clients, each behind the same three calls: sign, verify, initialise.

No wrapper passes a flag or sets a variable whose name says insecure, allow-http or ignore;
`run` refuses to.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from stack import CLIENTS, Stack

FORBIDDEN = re.compile(r"insecure|allow-http|ignore", re.IGNORECASE)


@dataclass
class Outcome:
    """How a client ended."""

    code: int
    output: str

    def accepted(self) -> "Outcome":
        assert self.code == 0, f"the client refused:\n{self.output}"
        return self

    def refused(self, reason: str) -> "Outcome":
        """It must have failed, and for this reason (a regular expression)."""
        assert self.code != 0, f"the client accepted what it must refuse:\n{self.output}"
        assert re.search(reason, self.output, re.IGNORECASE | re.DOTALL), (
            f"refused, but not because of /{reason}/:\n{self.output}"
        )
        return self


def run(command: list, home: Path, env: dict[str, str] | None = None, cwd: Path | None = None, timeout: float = 90) -> Outcome:
    """Runs a client with an empty home of its own."""
    environment = {
        "PATH": f"{CLIENTS / 'js/node_modules/.bin'}:{os.environ['PATH']}",
        "HOME": str(home),
        "TUF_ROOT": str(home / "tuf"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        **(env or {}),
    }
    arguments = [str(argument) for argument in command]
    for word in [*arguments, *environment]:
        assert not (word.startswith("-") or word in environment) or not FORBIDDEN.search(word), f"forbidden: {word}"
    done = subprocess.run(
        arguments, env=environment, cwd=cwd or home, timeout=timeout, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    return Outcome(done.returncode, done.stdout + done.stderr)


@dataclass
class Client:
    """A client with a home folder, set up for one stack."""

    stack: Stack
    home: Path
    # What it is started with, such as another clock.
    prefix: list = field(default_factory=list)
    bin: Path = field(init=False, default=Path())

    def __post_init__(self):
        self.home.mkdir(parents=True, exist_ok=True)

    @property
    def issuer(self) -> str:
        return self.stack.endpoints["oidc"]

    def run(self, *command, env: dict[str, str] | None = None) -> Outcome:
        return run([*self.prefix, self.bin, *command], self.home, env)


class Cosign(Client):
    """What cosign 2 and 3 share."""

    def initialize(self) -> Outcome:
        return self.run("initialize", "--mirror", self.stack.endpoints["tuf"], "--root", self.stack.trust("root.json"))

    def identity(self, email: str, issuer: str | None = None) -> list[str]:
        return ["--certificate-identity", email, "--certificate-oidc-issuer", issuer or self.issuer]

    def verify_image(self, image: str, email: str) -> Outcome:
        return self.run("verify", *self.identity(email), image)

    def verify_attestation(self, image: str, email: str, kind: str) -> Outcome:
        return self.run("verify-attestation", "--type", kind, *self.identity(email), image)


class Cosign3(Cosign):
    name = "cosign 3"

    def __post_init__(self):
        super().__post_init__()
        self.bin = CLIENTS / "bin/cosign3"

    def sign(self, file: Path, bundle: Path, token: str) -> Outcome:
        return self.run("sign-blob", "--yes", "--identity-token", token, "--bundle", bundle, file)

    def verify(self, bundle: Path, file: Path, email: str, issuer: str | None = None) -> Outcome:
        return self.run("verify-blob", "--bundle", bundle, *self.identity(email, issuer), file)

    def sign_image(self, image: str, token: str) -> Outcome:
        return self.run("sign", "--yes", "--identity-token", token, image)

    def attest_image(self, image: str, predicate: Path, kind: str, token: str) -> Outcome:
        return self.run("attest", "--yes", "--type", kind, "--predicate", predicate, "--identity-token", token, image)


class Cosign2(Cosign):
    name = "cosign 2"

    def __post_init__(self):
        super().__post_init__()
        self.bin = CLIENTS / "bin/cosign2"

    def services(self) -> list[str]:
        endpoints = self.stack.endpoints
        return [
            "--fulcio-url", endpoints["fulcio"],
            "--rekor-url", endpoints["rekor"],
            "--oidc-issuer", endpoints["oidc"],
        ]  # fmt: skip

    def sign(self, file: Path, bundle: Path, token: str) -> Outcome:
        return self.run(
            "sign-blob", "--yes", "--new-bundle-format", *self.services(), "--identity-token", token, "--bundle", bundle, file
        )

    def verify(self, bundle: Path, file: Path, email: str, issuer: str | None = None) -> Outcome:
        return self.run("verify-blob", "--new-bundle-format", "--bundle", bundle, *self.identity(email, issuer), file)

    def sign_old_format(self, file: Path, bundle: Path, token: str) -> Outcome:
        return self.run("sign-blob", "--yes", *self.services(), "--identity-token", token, "--bundle", bundle, file)

    def verify_old_format(self, bundle: Path, file: Path, email: str) -> Outcome:
        return self.run("verify-blob", "--bundle", bundle, *self.identity(email), file)

    def sign_image(self, image: str, token: str) -> Outcome:
        return self.run("sign", "--yes", *self.services(), "--identity-token", token, image)

    def attest_image(self, image: str, predicate: Path, kind: str, token: str) -> Outcome:
        return self.run(
            "attest", "--yes", *self.services(), "--type", kind, "--predicate", predicate, "--identity-token", token, image
        )


class SigstorePython(Client):
    name = "sigstore-python"

    def __post_init__(self):
        super().__post_init__()
        self.bin = CLIENTS / "python/bin/sigstore"

    def trust(self) -> list:
        return ["--trust-config", self.stack.trust("client_trust_config.json")]

    def initialize(self) -> Outcome:
        return self.run("--instance", self.stack.endpoints["tuf"], "trust-instance", self.stack.trust("root.json"))

    def sign(self, file: Path, bundle: Path, token: str) -> Outcome:
        return self.run(*self.trust(), "sign", "--identity-token", token, "--bundle", bundle, file)

    def verify(self, bundle: Path, file: Path, email: str, issuer: str | None = None) -> Outcome:
        return self.run(
            *self.trust(), "verify", "identity", "--bundle", bundle,
            "--cert-identity", email, "--cert-oidc-issuer", issuer or self.issuer, file,
        )  # fmt: skip


class SigstoreJs(Client):
    """@sigstore/sign and @sigstore/verify, driven by two short scripts."""

    name = "sigstore-js"

    def __post_init__(self):
        super().__post_init__()
        self.bin = CLIENTS / "js/node_modules/.bin/node"

    def script(self, name: str, *arguments) -> Outcome:
        script = Path(__file__).parent / "js" / name
        return self.run(script, *arguments, env={"NODE_PATH": str(CLIENTS / "js/node_modules")})

    def initialize(self) -> Outcome:
        return self.cli("initialize", "--mirror", self.stack.endpoints["tuf"], "--root", self.stack.trust("root.json"))

    def cli(self, *arguments, env: dict[str, str] | None = None) -> Outcome:
        return self.run(CLIENTS / "js/node_modules/@sigstore/cli/bin/run", *arguments, env=env)

    def sign(self, file: Path, bundle: Path, token: str, form: str = "message", *payload_type: str) -> Outcome:
        config = self.stack.trust("signing_config.v0.2.json")
        outcome = self.script("sign.cjs", config, token, form, file, *payload_type)
        if outcome.code == 0:
            bundle.write_text(json.dumps(json.loads(outcome.output)))
        return outcome

    def verify(
        self, bundle: Path, file: Path | None, email: str, issuer: str | None = None, trusted_root: Path | None = None
    ) -> Outcome:
        root = trusted_root or self.stack.trust("trusted_root.json")
        return self.script("verify.cjs", root, bundle, issuer or self.issuer, email, *([file] if file else []))


class SigstoreGo(Client):
    name = "sigstore-go"

    def sign(self, file: Path, bundle: Path, token: str) -> Outcome:
        self.bin = CLIENTS / "bin/sigstore-go-signing"
        outcome = self.run(
            "-id-token", token, "-rekor", "-tsa",
            "-signing-config", self.stack.trust("signing_config.v0.2.json"),
            "-trusted-root", self.stack.trust("trusted_root.json"), file,
        )  # fmt: skip
        if outcome.code == 0:
            bundle.write_text(next(line for line in outcome.output.splitlines() if line.startswith("{")))
        return outcome

    def verify(
        self, bundle: Path, file: Path, email: str, issuer: str | None = None, trusted_root: Path | None = None
    ) -> Outcome:
        self.bin = CLIENTS / "bin/sigstore-go-verification"
        return self.run(
            "-artifact", file, "-expectedIssuer", issuer or self.issuer, "-expectedSAN", email,
            "-trustedrootJSONpath", trusted_root or self.stack.trust("trusted_root.json"), bundle,
        )  # fmt: skip


class SigstoreJava(Client):
    """sigstore-java, driven by java/Sigstore.java.

    It asks for certificates over gRPC with TLS, so it signs with a `signing_config` that names such
    a listener, whose authority is in `trust_store` (PKCS #12, with the JDK's usual password).
    """

    name = "sigstore-java"
    signing_config: Path
    trust_store: Path

    def __post_init__(self):
        super().__post_init__()
        self.bin = Path("java")

    def java(self, *arguments, options: tuple[str, ...] = ()) -> Outcome:
        classpath = f"{CLIENTS / 'java/classes'}:{CLIENTS / 'java/lib'}/*"
        # One short run each: the JVM's second compiler would only cost time.
        return self.run("-XX:TieredStopAtLevel=1", f"-Duser.home={self.home}", *options, "-cp", classpath, "Sigstore", *arguments)

    def sign(self, file: Path, bundle: Path, token: str) -> Outcome:
        root = self.stack.trust("trusted_root.json")
        options = (f"-Djavax.net.ssl.trustStore={self.trust_store}", "-Djavax.net.ssl.trustStorePassword=changeit")
        return self.java("sign", self.signing_config, root, token, file, bundle, options=options)

    def verify(self, bundle: Path, file: Path, email: str, issuer: str | None = None, trust: str | None = None) -> Outcome:
        trust = trust or str(self.stack.trust("trusted_root.json"))
        return self.java("verify", trust, file, bundle, email, issuer or self.issuer)


class SigstoreRs(Client):
    """sigstore-rs verifies; it looks neither at inclusion proofs nor at signed entry timestamps."""

    name = "sigstore-rs"

    def __post_init__(self):
        super().__post_init__()
        self.bin = CLIENTS / "bin/sigstore-rs-client"

    def verify(self, bundle: Path, file: Path, email: str, issuer: str | None = None) -> Outcome:
        return self.run(self.stack.trust("trusted_root.json"), bundle, email, issuer or self.issuer, file)
