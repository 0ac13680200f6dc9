"""A year of a trust root, on a clock that is moved: what expires is refreshed, what is rotated stays verifiable.

Services run apart; two of three people hold the keys of root and targets. After each step clients
that are new, and clients with the cache of earlier steps, verify what was signed at any time. All
of them are released programs, whose clock is moved from outside.

`YEAR=full` lets every single day pass, and has the caches and bundles of every step at each. Without it
the days between two steps pass in leaps, and the oldest cache, the oldest and the newest bundle are
used until the last step, which uses them all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clients import Cosign2, Cosign3, Outcome, SigstoreJs, SigstorePython
from clock import Clock
from deployment import ISSUER, Deployment, Service, fingerprints
from stack import free_port, sigkeep_binary

EMAIL = "dev@corp.example"
FULL = os.environ.get("YEAR") == "full"

# How long a timestamp lives, and how far the clock goes at once: each leap must end before it does.
LIFE, LEAP = (7, 1) if FULL else (30, 28)


@dataclass
class Signed:
    """Something that was signed."""

    step: str
    signer: str
    file: Path
    bundle: Path


@dataclass
class TufPython(SigstorePython):
    """sigstore-python with the trust root of a TUF repository."""

    def trust(self) -> list:
        return ["--instance", self.stack.endpoints["tuf"]]

    def initialize(self) -> Outcome:
        # Without --verbose it does not say why it refuses a repository.
        return self.run(*self.trust(), "trust-instance", "--verbose", self.stack.trust("root.json"))

    def verify_all(self, signed: list[Signed]) -> list[Outcome]:
        identity = ["--cert-identity", EMAIL, "--cert-oidc-issuer", self.issuer]
        return [self.run(*self.trust(), "verify", "identity", "--verbose", *identity, *(one.file for one in signed))]


@dataclass
class TufJs(SigstoreJs):
    """sigstore-js with the trust root of a TUF repository."""

    def verify_all(self, signed: list[Signed]) -> list[Outcome]:
        files = [file for one in signed for file in (one.bundle, one.file)]
        return [self.script("verify-tuf.cjs", self.stack.endpoints["tuf"], self.stack.trust("root.json"), self.issuer, EMAIL, *files)]


@dataclass
class TufCosign3(Cosign3):
    def verify_all(self, signed: list[Signed]) -> list[Outcome]:
        return [self.verify(one.bundle, one.file, EMAIL) for one in signed]


@dataclass
class TufCosign2(Cosign2):
    def verify_all(self, signed: list[Signed]) -> list[Outcome]:
        return [self.verify(one.bundle, one.file, EMAIL) for one in signed]


KINDS = {kind.name: kind for kind in (TufCosign3, TufCosign2, TufPython, TufJs)}


class Repository:
    """The repository's machine, and three people who hold keys."""

    def __init__(self, folder: Path, deployment: Deployment, clock: Clock):
        self.folder, self.deployment, self.clock = folder, deployment, clock
        folder.mkdir()
        self.dir = folder / "repository"
        self.passphrase = deployment.passphrase
        self.holders: list[str] = []
        port, metrics = free_port(), free_port()
        self.url, self.metrics_url = f"http://localhost:{port}", f"http://localhost:{metrics}/metrics"
        self.server = Service(
            clock, "tuf", self.url,
            ["tuf", "serve", "--dir", self.dir, "--passphrase-file", self.passphrase,
             "--listen", f"127.0.0.1:{port}", "--metrics", f"127.0.0.1:{metrics}"],
        )  # fmt: skip

    def tool(self, *arguments, code: int = 0, keys: bool = False, holder: str | None = None) -> dict:
        command = [sigkeep_binary(), "tuf", *arguments]
        command += [] if arguments[:2] == ("key", "claim") else ["--json"]
        command += [] if holder else ["--dir", self.dir]
        command += ["--passphrase-file", self.passphrase] if keys or holder else []
        home = self.folder / (holder or "home")
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            self.clock.command(*command), cwd=home, capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(home)}
        )
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if "--json" in command and done.stdout else {}

    def claim(self, name: str) -> Path:
        """Somebody makes a key, and a proof of it."""
        out = self.folder / f"{name}.claim.json"
        self.tool("key", "claim", "--key", "file:key.pem", "--owner", name, "--out", out, holder=name)
        self.holders.append(name)
        return out

    def sign(self, *roles: str, by: tuple[str, ...]) -> None:
        requests = [self.folder / f"{role}.request.json" for role in roles]
        for role, request in zip(roles, requests):
            self.tool("payload", "export", role, "--out", request)
        for name in by:
            answers = self.tool("sign", *requests, "--key", "file:key.pem", "--yes", holder=name)["files"]
            self.tool("signature", "import", *(self.folder / name / file for file in answers))

    def publish(self) -> dict:
        return self.tool("publish", keys=True)["published"]

    def publish_targets(self, *by: str) -> dict:
        self.tool("stage", "targets")
        self.sign("targets", by=by)
        return self.publish()

    def export(self) -> Path:
        """Files for clients without TUF, as of now."""
        out = self.folder / "trust"
        self.tool("export", "--out", out, "--mirror", self.url)
        return out

    def rotate(self, *arguments) -> dict:
        return self.tool("rotate", "service", *arguments)

    def version(self, role: str) -> int:
        return json.loads((self.dir / "published" / f"{role}.json").read_text())["signed"]["version"]

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(self.metrics_url, timeout=10) as answer:
            rows = re.findall(r"^(tuf_\S+) (\S+)$", answer.read().decode(), re.MULTILINE)
        return {name: float(value) for name, value in rows}


@dataclass
class World:
    """What a client is told of the deployment: the same calls as those of the harness's stack."""

    endpoints: dict[str, str]
    folder: Path

    def trust(self, name: str) -> Path:
        return self.folder / name


@dataclass
class Year:
    folder: Path
    clock: Clock
    deployment: Deployment
    repository: Repository
    world: World
    step: str = ""
    steps: list[str] = field(default_factory=list)
    signed: list[Signed] = field(default_factory=list)

    def client(self, name: str, home: Path):
        return KINDS[name](self.world, home, prefix=self.clock.command())

    def days(self, days: float) -> None:
        """Time passes; the refresh service looks after every leap."""
        while days > 0:
            leap = min(days, LEAP)
            days -= leap
            before = self.repository.version("timestamp")
            self.clock.advance(leap)
            if leap >= 1:
                self.repository.server.wait(lambda: self.repository.version("timestamp") > before)

    def sign(self, *signers: str) -> list[Signed]:
        """New clients sign, each something of its own."""
        made = []
        shutil.copytree(self.repository.export(), self.folder / self.step / "trust", dirs_exist_ok=True)
        for signer in signers:
            work = self.folder / self.step / f"signed-by-{signer.replace(' ', '-')}"
            work.mkdir(parents=True)
            client = self.client(signer, work / "home")
            client.initialize().accepted()
            file, bundle = work / "artifact.txt", work / "artifact.txt.sigstore.json"
            file.write_text(f"signed by {signer} at {self.step}\n")
            client.sign(file, bundle, self.deployment.token(EMAIL)).accepted()
            made.append(Signed(self.step, signer, file, bundle))
        self.signed += made
        return made

    def homes(self, name: str, every: bool) -> dict[str, Path]:
        """Where a client starts from: nothing, or a copy of the cache that it had after an earlier step."""
        here = self.folder / self.step / name.replace(" ", "-")
        homes = {"": here / "fresh"}
        for step in self.steps if every else self.steps[:1]:
            homes[step] = here / f"warm-{step}"
            shutil.copytree(self.folder / step / name.replace(" ", "-") / "fresh", homes[step], symlinks=True)
        return homes

    def bundles(self, every: bool) -> list[Signed]:
        """Everything that was ever signed, or the oldest and the newest."""
        return self.signed if every or len(self.signed) < 2 else [self.signed[0], self.signed[-1]]

    def look(self, every: bool = FULL, refused: str | None = None) -> None:
        """Every client, new or with a cache, verifies old and new bundles; or refuses, for this reason."""

        def ask(name: str) -> None:
            for since, home in self.homes(name, every).items():
                client = self.client(name, home)
                who = f"{name} with {f'the cache of {since}' if since else 'no cache'}, at {self.step}"
                if not since:
                    begun = client.initialize()
                    begun.refused(refused) if refused else begun.accepted()
                # Who could not begin has nothing to verify with.
                if since or not refused:
                    for outcome in client.verify_all(self.bundles(every)):
                        outcome.output = f"{who}: {outcome.output}"
                        outcome.refused(refused) if refused else outcome.accepted()

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(ask, name) for name in KINDS]:
                done.result()

    def begin(self, step: str) -> None:
        self.step = step
        (self.folder / step).mkdir()

    def end(self, every: bool = FULL) -> None:
        """Everybody looks, and the caches are kept."""
        self.look(every)
        self.steps.append(self.step)

    def without_refresh(self, step: str, one: Signed) -> dict[str, Outcome]:
        """Clients that have had no news since a step verify with the trusted root of that time."""
        world = World(self.world.endpoints, self.folder / step / "trust")
        kinds = (Cosign3, Cosign2, SigstorePython, SigstoreJs)
        out = {}
        for kind in kinds:
            client = kind(world, self.folder / self.step / f"offline-{step}-{kind.__name__}", prefix=self.clock.command())
            if issubclass(kind, (Cosign2, Cosign3)):
                form = ["--new-bundle-format"] if kind is Cosign2 else []
                root = ["--trusted-root", world.trust("trusted_root.json")]
                out[kind.name] = client.run("verify-blob", *form, *root, "--bundle", one.bundle, *client.identity(EMAIL), one.file)
            else:
                out[kind.name] = client.verify(one.bundle, one.file, EMAIL)
        return out


@pytest.fixture
def year(tmp_path):
    clock = Clock(tmp_path / "clock")
    deployment = Deployment(tmp_path / "services", clock)
    repository = Repository(tmp_path / "tuf", deployment, clock)
    endpoints = {**deployment.endpoints, "tuf": repository.url}
    yield Year(tmp_path / "steps", clock, deployment, repository, World(endpoints, tmp_path / "tuf" / "trust"))
    repository.server.stop()
    deployment.stop()


def test_a_year_passes_and_every_client_verifies_everything(year):
    clock, deployment, repository = year.clock, year.deployment, year.repository
    year.folder.mkdir()

    year.begin("ceremony")
    quorum = ["--threshold", "root=2", "--threshold", "targets=2"]
    life = {"root": (200, 60), "targets": (200, 60), "timestamp": (LIFE, LIFE - 1)}
    periods = [word for role, (expiry, window) in life.items() for word in ("--expiry", f"{role}={expiry}d", "--window", f"{role}={window}d")]
    repository.tool("init", "--ceremony", *quorum, *periods, keys=True)
    for name in ("ann", "ben", "cho"):
        repository.tool("key", "import", "--role", "root", "--role", "targets", repository.claim(name))
    approved = [deployment.ca.chain(), deployment.tsa.chain(), deployment.ct_logs[0], deployment.shards[0]]
    collect(repository, *approved)
    for role in ("root", "targets"):
        repository.tool("stage", role)
    repository.sign("root", "targets", by=("ann", "ben"))
    repository.publish()
    repository.server.start()
    repository.export()
    year.sign(*KINDS)
    year.end()

    # Days on which nothing happens but the refresh.
    for _ in range(3):
        before = repository.version("timestamp")
        clock.advance(1)
        repository.server.wait(lambda: repository.version("timestamp") == before + 1)
    year.days(40)

    year.begin("next-intermediate-published")
    repository.rotate("fulcio", "--next", deployment.ca.next())
    repository.publish_targets("ann", "cho")
    year.sign("cosign 3")
    year.end()

    year.begin("next-intermediate-signs")
    year.days(1)
    deployment.ca.activate(repository.export() / "trusted_root.json")
    [new] = year.sign("cosign 2")
    year.end()
    for outcome in year.without_refresh("next-intermediate-published", new).values():
        outcome.accepted()
    # Whoever missed the announcement does not know the intermediate; so it comes before the use.
    for outcome in year.without_refresh("ceremony", new).values():
        outcome.refused("certificate|chain|issuer")

    year.days(2)
    repository.rotate("fulcio", "--end", fingerprints(deployment.ca.chain())[0], "--at", clock.text(-2))
    repository.publish_targets("ben", "cho")

    year.begin("root-keys-rotated")
    year.days(50)
    gone = next(key["keyid"] for key in repository.tool("key", "list")["keys"] if key["owner"] == "cho")
    repository.tool("rotate", "root", "--add", repository.claim("dee"), "--remove", gone)
    repository.sign("root", by=("ann", "ben", "dee"))
    assert repository.publish() == {"root": 2}
    year.end()

    year.begin("next-shard-published")
    year.days(40)
    shard = deployment.key("rekor-2")
    repository.rotate("rekor", "--next", shard)
    repository.publish_targets("ann", "ben")
    year.sign("sigstore-python")
    year.end()

    year.begin("next-shard-signs")
    year.days(1)
    deployment.use_shard(shard)
    year.days(2)
    old = fingerprints(deployment.shards[0])[0]
    ended = repository.rotate("rekor", "--end", old, "--at", clock.text(-2))["entries"]
    assert [("end" in entry) for entry in ended] == [True, False]
    repository.publish_targets("ann", "ben")
    [new] = year.sign("sigstore-js")
    year.end()
    for outcome in year.without_refresh("next-shard-published", new).values():
        outcome.accepted()
    for outcome in year.without_refresh("next-intermediate-signs", new).values():
        outcome.refused("log")

    miss_a_refresh(year)

    year.begin("online-keys-rotated")
    year.days(10)
    assert "root" in repository.tool("rotate", "online", keys=True)["waiting"]
    repository.sign("root", by=("ann", "dee"))
    assert repository.tool("rotate", "online", keys=True)["published"]["root"] == 3
    year.end()

    year.begin("timestamp-authority-and-ct-log-rotated")
    year.days(30)
    ct_log = deployment.key("ct-2")
    repository.rotate("timestamp", "--next", deployment.tsa.next())
    repository.rotate("ct", "--next", ct_log, "--url", deployment.ct_url("ct-2"))
    repository.publish_targets("ann", "ben")
    year.days(1)
    deployment.tsa.activate(repository.export() / "trusted_root.json")
    deployment.use_ct_log(ct_log)
    year.days(1)
    for kind, old in (("timestamp", deployment.tsa.chain()), ("ct", deployment.ct_logs[0])):
        repository.rotate(kind, "--end", fingerprints(old)[0], "--at", clock.text(-1))
    repository.publish_targets("ann", "ben")
    year.sign("cosign 3", "sigstore-python")
    year.end()

    year.begin("root-and-targets-renewed")
    year.days(150)
    due = repository.tool("status", code=1)
    assert {role["role"] for role in due["roles"] if role["due"]} == {"root", "targets"}, due
    assert all("have it signed" in line for line in due["attention"]) and len(due["attention"]) == 2, due
    gone = next(key["keyid"] for key in repository.tool("key", "list")["keys"] if key["owner"] == "ben" and key["role"] == "root")
    repository.tool("rotate", "root", "--add", repository.claim("eve"), "--remove", gone)
    repository.tool("stage", "targets")
    repository.sign("root", by=("ann", "ben", "dee"))
    repository.sign("targets", by=("ann", "ben"))
    assert repository.publish()["root"] == 4
    assert repository.tool("status")["phase"] == "live"
    year.end()

    # The first root has expired; new clients begin with it all the same, since it names its successor.
    year.begin("the-year-is-over")
    year.days(10)
    first = json.loads((repository.dir / "roots" / "1.root.json").read_text())["signed"]["expires"]
    assert first < clock.text()
    year.sign(*KINDS)
    year.end(every=True)


def miss_a_refresh(year: Year) -> None:
    """The key of the timestamp is out of reach for longer than a timestamp lives."""
    repository, clock = year.repository, year.clock
    year.begin("refresh-missed")
    key, away = repository.dir / "keys" / "timestamp.pem", repository.folder / "timestamp.pem"
    key.rename(away)
    clock.advance(LIFE - 1.5)
    repository.server.wait(lambda: repository.metrics().get("tuf_refresh_failures_total", 0) > 0)
    # The alarm, in each of the forms that monitoring has; clients see nothing yet.
    left = repository.metrics()['tuf_role_expiry_seconds{role="timestamp"}'] - clock.now().timestamp()
    assert 86_400 < left < 2 * 86_400
    status = repository.tool("status", code=1)
    assert any(line.startswith("timestamp expires") and "the refresh does not run" in line for line in status["attention"]), status
    assert repository.tool("verify", "--within", "2d", code=1)["ok"] is False
    assert repository.server.status("/readyz") == 200

    year.begin("refresh-missed-for-long")
    clock.advance(2)
    repository.server.wait(lambda: repository.server.status("/readyz") == 503)
    assert repository.tool("status", code=1)["phase"] == "stalled"
    assert "expired" in repository.tool("verify", code=1)["error"]
    year.look(refused="expired")

    year.begin("refresh-back")
    away.rename(key)
    clock.advance(1 / 24)
    repository.server.wait(lambda: repository.server.status("/readyz") == 200)
    assert repository.tool("status")["phase"] == "live"
    year.end()


def collect(repository: Repository, *files: Path) -> None:
    """Makes the first trust documents from what the services say, with the fingerprints of these approved."""
    endpoints = repository.deployment.endpoints
    approve = [word for file in files for one in fingerprints(file) for word in ("--approve", one)]
    repository.tool(
        "collect", "--fulcio", endpoints["fulcio"], "--rekor", endpoints["rekor"], "--timestamp", f"{endpoints['tsa']}/api/v1/timestamp",
        "--ct", endpoints["ct"], "--ct-key", repository.deployment.ct_logs[0], "--oidc", ISSUER, "--operator", "corp.example", *approve,
    )  # fmt: skip
