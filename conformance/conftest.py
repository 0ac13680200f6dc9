"""One running stack, one registry and one set of initialised clients for the whole run."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clients import Cosign2, Cosign3, SigstoreGo, SigstoreJs, SigstorePython  # noqa: E402
from stack import CLIENTS, Postgres, Registry, Stack  # noqa: E402

EMAIL = "dev@corp.example"


def pytest_sessionstart(session):
    missing = [name for name in ("bin/cosign3", "python/bin/sigstore", "js/node_modules") if not (CLIENTS / name).exists()]
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


@pytest.fixture
def token(stack):
    return stack.token(EMAIL)


@pytest.fixture
def artifact(tmp_path):
    file = tmp_path / "artifact.txt"
    file.write_bytes(tmp_path.name.encode() + b": what is signed\n")
    return file
