"""One running stack, one registry and one set of initialised clients for the whole run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clients import Cosign2, Cosign3, SigstoreGo, SigstoreJs, SigstorePython  # noqa: E402
from stack import CLIENTS, Postgres, Registry, Stack, sigkeep_binary  # noqa: E402

EMAIL = "dev@corp.example"


def pytest_sessionstart(session):
    missing = [name for name in ("bin/cosign3", "python/bin/sigstore", "js/node_modules", "java/classes") if not (CLIENTS / name).exists()]
    if missing:
        pytest.exit(f"missing clients {missing}: run conformance/install first", returncode=1)


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("stack") / "data").start()
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    registry = Registry(tmp_path_factory.mktemp("registry") / "blobs")
    yield registry
    registry.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    postgres = Postgres(tmp_path_factory.mktemp("postgres"))
    yield postgres
    postgres.stop()


@pytest.fixture(scope="session")
def clients(stack, tmp_path_factory):
    """Every client by name, its trust root initialised from the stack's TUF repository."""
    made = {}
    for kind in (Cosign3, Cosign2, SigstorePython, SigstoreJs, SigstoreGo):
        client = kind(stack, tmp_path_factory.mktemp(kind.__name__))
        if hasattr(client, "initialize"):
            client.initialize().accepted()
        made[client.name] = client
    return made


def tool(*arguments, cwd: Path | None = None, **env: str) -> str:
    command = [sigkeep_binary(), "tuf", *arguments]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, cwd=cwd, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def exported(stack, tmp_path_factory):
    """Everything that can be exported from the stack's repository."""
    out = tmp_path_factory.mktemp("exports")
    tool(
        "export", "--dir", stack.data_dir / "tuf", "--out", out, "--mirror", stack.endpoints["tuf"], "--name", "corp",
        "--images", "registry.corp.example/app/**", "--issuer", stack.endpoints["oidc"], "--subject", EMAIL,
    )  # fmt: skip
    return out


@pytest.fixture
def token(stack):
    return stack.token(EMAIL)


@pytest.fixture
def artifact(tmp_path):
    file = tmp_path / "artifact.txt"
    file.write_bytes(tmp_path.name.encode() + b": what is signed\n")
    return file
