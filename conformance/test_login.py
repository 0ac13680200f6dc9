"""Without a token, a client opens a page where one types an e-mail."""

from pathlib import Path

import pytest

EMAIL = "browser@corp.example"


@pytest.fixture
def env(tmp_path):
    """A PATH on which `xdg-open` is a person who signs in."""
    (tmp_path / "bin").mkdir()
    for name in ("xdg-open", "sensible-browser"):
        (tmp_path / "bin" / name).symlink_to(Path(__file__).parent / "browser")
    import os

    return {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "SIGN_IN_AS": EMAIL, "BROWSER": "xdg-open"}


def test_cosign_3_signs_after_a_sign_in_in_the_browser(clients, artifact, tmp_path, env):
    cosign = clients["cosign 3"]
    bundle = tmp_path / "bundle.json"
    cosign.run("sign-blob", "--yes", "--fulcio-auth-flow", "normal", "--bundle", bundle, artifact, env=env).accepted()
    cosign.verify(bundle, artifact, EMAIL).accepted()


def test_cosign_2_signs_after_a_sign_in_in_the_browser(clients, artifact, tmp_path, env):
    cosign = clients["cosign 2"]
    bundle = tmp_path / "bundle.json"
    cosign.run(
        "sign-blob", "--yes", "--new-bundle-format", *cosign.services(), "--fulcio-auth-flow", "normal",
        "--bundle", bundle, artifact, env=env,
    ).accepted()  # fmt: skip
    cosign.verify(bundle, artifact, EMAIL).accepted()


def test_sigstore_python_signs_after_a_sign_in_in_the_browser(clients, artifact, tmp_path, env):
    python = clients["sigstore-python"]
    bundle = tmp_path / "bundle.json"
    python.run(*python.trust(), "sign", "--bundle", bundle, artifact, env=env).accepted()
    python.verify(bundle, artifact, EMAIL).accepted()
