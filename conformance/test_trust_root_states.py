"""Every state that a TUF repository gets into, and what each client makes of it.

The rows are those of the profile's table, by number. Clients: P is python-tuf, J @sigstore/tuf (tuf-js),
G cosign (go-tuf), T tough. `refused` names those that refuse; all others must accept. What any of them
refuses our own strict client (`tuf verify`) must refuse too: it is what every publication has to pass.
Rows that are about our writer and not about clients name the tests that hold them in `ELSEWHERE`.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadError, RepositoryError

import tuf_client
from clients import run
from conftest import EMAIL
from stack import CLIENTS, ROOT, sigkeep_binary
import tuf_rows_later  # noqa: F401: registers its rows
from tuf_lab import Lab, Tree
from tuf_rows import EVERY, ROWS, TARGETS, State

ELSEWHERE = {
    76: ["conformance/test_trust_root_states.py::test_between_any_two_files_of_a_publication_clients_see_a_whole_state",
         "tuf-root/src/repository/tests/crash.rs::a_crash_at_any_point_leaves_the_old_or_the_new_state"],
    77: ["conformance/test_trust_root_states.py::test_two_refreshers_at_once_never_use_a_version_twice"],
    78: ["tuf-root/src/repository/tests/mod.rs::a_clock_that_went_back_does_not_sign"],
    79: ["tuf-root/src/airgap/tests.rs::older_bundles_are_refused", "tuf-root/src/airgap/tests.rs::an_archive_that_was_touched_is_refused"],
    80: ["conformance/test_trust_documents.py::test_each_rule_of_the_trusted_root_holds_in_the_clients",
         "conformance/test_trust_documents.py::test_each_rule_of_the_signing_config_holds_in_the_clients"],
}  # fmt: skip


class Bench:
    """One row: a tree that is served, and clients that look at it again and again."""

    def __init__(self, name: str, base: Tree, lab: Lab, drivers: "Drivers", folder: Path):
        self.name, self.lab, self.drivers, self.folder = name, lab, drivers, folder
        self.tree = base.copy()
        self.number = 0

    @property
    def tree(self) -> Tree:
        return self.lab.trees[self.name]

    @tree.setter
    def tree(self, tree: Tree) -> None:
        self.lab.trees[self.name] = tree

    def bootstrap(self, number: int = 1) -> Path:
        """The root that clients start from, as it is served now."""
        file = self.folder / "bootstrap.json"
        file.write_bytes(self.tree.files[f"{number}.root.json"])
        return file

    def look(self, state: State) -> None:
        if state.fresh:
            shutil.rmtree(self.folder / "caches", ignore_errors=True)
        self.number += 1
        root = self.folder / "bootstrap.json"
        root = root if root.exists() else self.bootstrap()
        url = self.lab.url(self.name) + state.slash
        found = {}
        for letter in EVERY:
            cache = self.folder / "caches" / letter
            cache.mkdir(parents=True, exist_ok=True)
            found[letter] = self.drivers.look(letter, url, root, cache)
        refusals = {letter: reason for letter, reason in found.items() if reason is not None}
        told = "\n".join(f"{letter}: {reason}" for letter, reason in refusals.items())
        wrong = (set(state.refused) ^ set(refusals)) - set(state.either)
        assert not wrong, f"state {self.number}: {''.join(sorted(wrong))} differ; refused:\n{told}"
        expected = bool(state.refused) if state.ours is None else state.ours
        ours = self.drivers.ours(url, root)
        assert (ours is not None) == expected, f"state {self.number}: ours said {ours}"
        if state.timestamp is not None:
            trusted = json.loads((self.folder / "caches/P/metadata/timestamp.json").read_text())
            assert trusted["signed"]["version"] == state.timestamp


class Drivers:
    """The four clients; each call returns None, or why it refused."""

    def __init__(self, bundle: Path, artifact: Path, issuer: str, folder: Path):
        self.bundle, self.artifact, self.issuer = bundle, artifact, issuer
        node = [CLIENTS / "js/node_modules/.bin/node", Path(__file__).parent / "js/tuf.cjs"]
        self.lines = {
            "J": self._start(node, folder, {"NODE_PATH": str(CLIENTS / "js/node_modules")}),
            "T": self._start([CLIENTS / "bin/tough-client"], folder),
        }

    @staticmethod
    def _start(command: list, folder: Path, env: dict | None = None) -> subprocess.Popen:
        environment = {"PATH": f"{CLIENTS / 'js/node_modules/.bin'}:/usr/bin:/bin", "HOME": str(folder), **(env or {})}
        return subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def look(self, letter: str, url: str, root: Path, cache: Path) -> str | None:
        if letter == "P":
            try:
                tuf_client.update(url, root, cache, TARGETS)
            except (RepositoryError, DownloadError, ValueError) as error:
                return f"{type(error).__name__}: {error}"
            return None
        if letter == "G":
            return self.cosign(url, root, cache)
        process = self.lines[letter]
        process.stdin.write(json.dumps({"mirror": url, "root": str(root), "cache": str(cache), "targets": TARGETS}) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        return None if answer["ok"] else answer["error"]

    def cosign(self, url: str, root: Path, cache: Path) -> str | None:
        """Verifies a bundle, for which cosign updates its trust root first."""
        command = [
            CLIENTS / "bin/cosign3", "verify-blob", "--bundle", self.bundle, "--certificate-identity", EMAIL,
            "--certificate-oidc-issuer", self.issuer, self.artifact,
        ]  # fmt: skip
        outcome = run(command, cache, {"TUF_ROOT": str(cache / "tuf"), "TUF_MIRROR": url, "TUF_ROOT_JSON": str(root)})
        return None if outcome.code == 0 else outcome.output

    def ours(self, url: str, root: Path) -> str | None:
        command = [sigkeep_binary(), "tuf", "verify", "--mirror", url, "--root", root, "--dir", root.parent / "nothing"]
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 1), done.stderr
        return None if done.returncode == 0 else done.stderr

    def stop(self) -> None:
        for process in self.lines.values():
            process.stdin.close()
            assert process.wait(10) == 0


def tool(folder: Path, *arguments, code: int = 0, wait: bool = True):
    command = [sigkeep_binary(), "tuf", *arguments, "--dir", folder / "repository", "--json"]
    if arguments[0] in ("init", "publish", "refresh"):
        command += ["--passphrase-file", folder / "passphrase"]
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if not wait:
        return process
    out, errors = process.communicate(timeout=60)
    assert process.returncode == code, f"{arguments}: {errors}"
    return json.loads(out) if out else {"error": errors}


@pytest.fixture(scope="module")
def made(stack, tmp_path_factory) -> Path:
    """A repository that our writer made, its keys beside it."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "passphrase").write_text("a passphrase for tests\n")
    tool(folder, "init", "--expiry", "timestamp=30d")
    for name in TARGETS:
        tool(folder, "target", "add", stack.trust(name))
    tool(folder, "publish")
    return folder


@pytest.fixture(scope="module")
def base(made) -> Tree:
    repository = made / "repository"
    return Tree(repository / "published", repository / "keys", (made / "passphrase").read_bytes().strip())


@pytest.fixture(scope="module")
def lab():
    lab = Lab()
    yield lab
    lab.stop()


@pytest.fixture(scope="module")
def drivers(stack, clients, tmp_path_factory):
    folder = tmp_path_factory.mktemp("signed")
    artifact, bundle = folder / "artifact.txt", folder / "bundle.json"
    artifact.write_bytes(b"what is signed\n")
    clients["cosign 3"].sign(artifact, bundle, stack.token(EMAIL)).accepted()
    drivers = Drivers(bundle, artifact, stack.endpoints["oidc"], folder)
    yield drivers
    drivers.stop()


@pytest.mark.parametrize("number", sorted(ROWS), ids=lambda n: f"{n:02}-{ROWS[n].__name__}")
def test_row(number, base, lab, drivers, tmp_path):
    bench = Bench(f"row-{number}", base, lab, drivers, tmp_path)
    looked = 0
    for state in ROWS[number](bench):
        bench.look(state)
        looked += 1
    assert looked


def test_every_row_of_the_table_has_its_test():
    assert sorted([*ROWS, *ELSEWHERE]) == list(range(1, 81))
    for places in ELSEWHERE.values():
        for place in places:
            file, name = place.split("::")
            assert re.search(rf"\b(fn|def) {name}\(", (ROOT / file).read_text()), place


def test_between_any_two_files_of_a_publication_clients_see_a_whole_state(made, base, lab, drivers, tmp_path):
    """Row 76, with real clients: the files appear in the order in which the program put them there."""
    work = tmp_path / "work"
    shutil.copytree(made, work)
    published = work / "repository/published"
    before = {p: p.stat().st_mtime_ns for p in published.rglob("*") if p.is_file()}
    note = tmp_path / "note.txt"
    note.write_text("something new\n")
    tool(work, "target", "add", note)
    tool(work, "publish")
    written = [p for p in published.rglob("*") if p.is_file() and before.get(p) != p.stat().st_mtime_ns]
    place = {"2.targets.json": 1, "2.snapshot.json": 2, "timestamp.json": 3}
    written.sort(key=lambda p: place.get(p.name, 0))
    names = [str(p.relative_to(published)) for p in written]
    assert [place.get(name, 0) for name in names] == [0, 1, 2, 3], names
    times = [p.stat().st_mtime_ns for p in written]
    assert times == sorted(times), "the program did not write them in this order"
    bench = Bench("between", base, lab, drivers, tmp_path)
    bench.look(State(timestamp=1))
    for number, path in enumerate(written, 1):
        bench.tree.files[names[number - 1]] = path.read_bytes()
        bench.look(State(timestamp=2 if number == len(written) else 1))
        shutil.rmtree(tmp_path / "caches")


def test_two_refreshers_at_once_never_use_a_version_twice(made, tmp_path):
    """Row 77."""
    work = tmp_path / "work"
    shutil.copytree(made, work)
    state = json.loads((work / "repository/state.json").read_text())
    state["roles"]["timestamp"]["window_secs"] = state["roles"]["timestamp"]["expiry_secs"] - 1
    (work / "repository/state.json").write_text(json.dumps(state))
    both = [[tool(work, "refresh", wait=False) for _ in range(2)] for _ in range(3)]
    versions = []
    for process in [process for pair in both for process in pair]:
        out, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
        versions += [json.loads(out)["published"].get("timestamp")]
    signed = [version for version in versions if version]
    assert signed and len(set(signed)) == len(signed), versions
    published = json.loads((work / "repository/published/timestamp.json").read_text())
    assert published["signed"]["version"] == max(signed)
