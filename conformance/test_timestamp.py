"""openssl verifies the timestamp authority's answers."""

import subprocess

import pytest


@pytest.fixture
def chain(stack, tmp_path):
    """The authority's root, and all its certificates, as PEM files."""
    pem = stack.get("tsa", "/api/v1/timestamp/certchain").decode()
    certificates = [f"-----BEGIN{part}" for part in pem.split("-----BEGIN")[1:]]
    assert len(certificates) >= 2
    (tmp_path / "root.pem").write_text(certificates[-1])
    (tmp_path / "chain.pem").write_text(pem)
    return tmp_path


def openssl(folder, *arguments):
    return subprocess.run(["openssl", "ts", *arguments], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("digest", ["-sha256", "-sha384", "-sha512"])
def test_openssl_verifies_a_timestamp(stack, chain, artifact, digest):
    assert openssl(chain, "-query", "-data", artifact, digest, "-cert", "-out", "q.tsq").returncode == 0
    reply = stack.post("tsa", "/api/v1/timestamp", (chain / "q.tsq").read_bytes(), "application/timestamp-query")
    (chain / "r.tsr").write_bytes(reply)
    done = openssl(chain, "-verify", "-queryfile", "q.tsq", "-in", "r.tsr", "-CAfile", "root.pem", "-untrusted", "chain.pem")
    assert "Verification: OK" in done.stdout + done.stderr, done

    other = artifact.with_name("other")
    other.write_bytes(artifact.read_bytes() + b"!")
    done = openssl(chain, "-verify", "-data", other, "-in", "r.tsr", "-CAfile", "root.pem", "-untrusted", "chain.pem")
    assert done.returncode != 0 and "mismatch" in done.stdout + done.stderr, done
