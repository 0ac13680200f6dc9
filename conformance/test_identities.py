"""Workloads sign: tokens shaped like those of GitHub Actions, GitLab CI and Kubernetes."""

import subprocess

import pytest

from stack import sigkeep_binary

SHA = "0123456789abcdef0123456789abcdef01234567"
GITHUB = "https://github.com/example/project/.github/workflows/release.yml@refs/heads/main"
GITLAB = "https://gitlab.com/example/project//.gitlab-ci.yml@refs/heads/main"
KUBERNETES = "https://kubernetes.io/namespaces/default/serviceaccounts/default"


def workload_token(stack, issuer: str, **claims: str) -> str:
    command = [str(sigkeep_binary()), "token", "--data-dir", str(stack.data_dir), "--issuer", issuer]
    for name, value in claims.items():
        command += ["--claim", f"{name}={value}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def issuer_url(stack, issuer: str) -> str:
    return f"{stack.endpoints['oidc'].rstrip('/')}/{issuer}"


@pytest.fixture
def signed(clients, stack, artifact, tmp_path):
    """Signs the artifact with cosign as a workload; returns the bundle."""

    def sign(issuer: str, signer: str = "cosign 3", **claims: str):
        bundle = tmp_path / f"{issuer}.json"
        clients[signer].sign(artifact, bundle, workload_token(stack, issuer, **claims)).accepted()
        return bundle

    return sign


@pytest.mark.parametrize("signer", ["cosign 3", "cosign 2"])
@pytest.mark.parametrize(("issuer", "identity"), [("github", GITHUB), ("gitlab", GITLAB), ("kubernetes", KUBERNETES)])
def test_every_client_verifies_what_a_workload_signed(issuer, identity, signer, signed, clients, stack, artifact):
    bundle = signed(issuer, signer)
    for client in clients.values():
        client.verify(bundle, artifact, identity, issuer_url(stack, issuer)).accepted()
    for verifier in ("cosign 3", "cosign 2"):
        cosign = clients[verifier]
        cosign.verify(bundle, artifact, identity + "x", issuer_url(stack, issuer)).refused("identit|subject")
        cosign.verify(bundle, artifact, identity, stack.endpoints["oidc"]).refused("issuer|identit")


GITHUB_FLAGS = {
    "name": "release",
    "ref": "refs/heads/main",
    "repository": "example/project",
    "sha": SHA,
    "trigger": "push",
}


@pytest.mark.parametrize("verifier", ["cosign 3", "cosign 2"])
def test_github_flags_hold_and_each_wrong_one_is_refused(verifier, signed, clients, stack, artifact):
    bundle = signed("github")
    cosign = clients[verifier]
    form = ["--new-bundle-format"] if verifier == "cosign 2" else []

    def verify(**changes):
        flags = [f"--certificate-github-workflow-{name}={value}" for name, value in {**GITHUB_FLAGS, **changes}.items()]
        identity = cosign.identity(GITHUB, issuer_url(stack, "github"))
        return cosign.run("verify-blob", *form, "--bundle", bundle, *identity, *flags, artifact)

    verify().accepted()
    for name in GITHUB_FLAGS:
        verify(**{name: "other"}).refused("")


def test_the_claims_of_the_token_decide(signed, clients, stack, artifact):
    ref = "corp/app/.github/workflows/ci.yml@refs/tags/v1"
    bundle = signed("github", repository="corp/app", ref="refs/tags/v1", job_workflow_ref=ref)
    cosign = clients["cosign 3"]
    issuer = issuer_url(stack, "github")
    flags = ["--certificate-github-workflow-repository=corp/app", "--certificate-github-workflow-ref=refs/tags/v1"]
    identity = cosign.identity(f"https://github.com/{ref}", issuer)
    cosign.run("verify-blob", "--bundle", bundle, *identity, *flags, artifact).accepted()
    cosign.verify(bundle, artifact, GITHUB, issuer).refused("identit|subject")
