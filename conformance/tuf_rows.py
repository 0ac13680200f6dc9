"""The rows of the profile's table: states of a TUF repository, and which clients refuse them.

Letters: P is python-tuf, J @sigstore/tuf (tuf-js), G cosign (go-tuf), T tough.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tuf_lab import Key, Tree

TARGETS = ["trusted_root.json", "signing_config.v0.2.json"]
EVERY = "PJGT"
PAST, FAR = "2026-01-02T00:00:00Z", (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3650)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class State:
    """What the clients must make of what is served now."""

    refused: str = ""
    ours: bool | None = None
    """Whether `tuf verify` refuses; by default if any client does."""
    either: str = ""
    """Clients of which nothing is promised."""
    fresh: bool = False
    """With an empty cache, though the state is not the first of its row."""
    timestamp: int | None = None
    """The version of timestamp that python-tuf trusts in the end."""
    slash: str = ""


Row = Callable[["Bench"], Iterator[State]]
ROWS: dict[int, Row] = {}


def row(number: int):
    def register(make: Row) -> Row:
        assert number not in ROWS
        ROWS[number] = make
        return make

    return register


# Keys and how they are written.


@row(1)
def what_our_writer_makes(bench):
    yield State()
    bench.tree.build()
    yield State()


@row(2)
def ed25519_and_rsa_pss(bench):
    for form in ("ed25519", "rsa-pss"):
        for role in ("root", "targets", "snapshot", "timestamp"):
            bench.tree.use(role, [Key(form=form)])
        bench.tree.build()
        bench.bootstrap()
        yield State(fresh=True, ours=True)


def with_key(number: int, refused: str, make: Callable[[], Key], ours: bool | None = None) -> None:
    """A row in which the targets role has one key of another form."""

    @row(number)
    def one_key(bench):
        bench.tree.use("targets", [make()])
        bench.tree.build()
        yield State(refused, ours=ours)


# tuf-js takes P-384 since version 6; older ones do not.
with_key(3, "T", lambda: Key(form="p384"))
with_key(4, "", lambda: Key(form="ecdsa-long"), ours=True)
with_key(5, "PG", lambda: Key(form="ecdsa-hex"))
with_key(6, "PGT", lambda: Key(form="ed25519-pem"))
with_key(7, "JGT", lambda: Key(form="rsa-pkcs1"))
with_key(8, "T", lambda: Key(keyid="ab" * 32))


@row(9)
def extra_member_outside_the_keyid(bench):
    key = Key()
    key.listed["x-owner"] = "ann"
    bench.tree.use("targets", [key])
    bench.tree.build()
    yield State("T")


with_key(10, "", lambda: Key(extra={"x-owner": "ann"}), ours=True)


@row(11)
def one_key_under_two_keyids(bench):
    key = Key()
    bench.tree.use("timestamp", [key, Key(key.private, "ecdsa-bare")], threshold=2)
    bench.tree.build()
    yield State("G")


@row(12)
def an_ml_dsa_key_beside_enough_others(bench):
    strange = Key()
    strange.listed = {"keytype": "ml-dsa", "scheme": "ml-dsa-65/1", "keyval": {"public": "ab" * 1952}}
    keys = [*bench.tree.signers["root"], strange]
    bench.tree.use("root", keys, also_sign=False)
    bench.tree.build()
    yield State("GT")


# Signatures.


@row(13)
def a_keyid_twice(bench):
    bench.tree.signers["timestamp"] *= 2
    bench.tree.build()
    yield State(EVERY)


@row(14)
def signatures_that_do_not_count(bench):
    key, idle = bench.tree.signers["timestamp"][0], Key()
    bench.tree.use("timestamp", [key, idle])
    bench.tree.signers["timestamp"] = [key]
    garbage = [{"keyid": "00" * 32, "sig": ""}, {"keyid": idle.keyid, "sig": "3006020101020101"}, {"keyid": "11" * 32, "sig": "ab"}]
    bench.tree.extra_signatures["timestamp"] = garbage
    bench.tree.build()
    # Our writer makes neither; its client is not asked to be tolerant of them.
    yield State(ours=False)


@row(15)
def a_root_signed_by_one_of_two(bench):
    keys = [*bench.tree.signers["root"], Key()]
    bench.tree.use("root", keys, threshold=2)
    bench.tree.root_signers[-1] = keys[:1]
    bench.tree.build()
    yield State(EVERY)


def two_of_three(number: int, signing: int, refused: str) -> None:
    @row(number)
    def targets(bench):
        keys = [Key(), Key(), Key()]
        bench.tree.use("targets", keys, threshold=2)
        bench.tree.signers["targets"] = keys[:signing]
        bench.tree.build()
        yield State(refused)


two_of_three(16, 2, "")
two_of_three(17, 1, EVERY)


@row(18)
def a_threshold_that_cannot_be_met(bench):
    bench.tree.use("targets", [Key()], threshold=2)
    bench.tree.build()
    yield State(EVERY)


@row(19)
def a_timestamp_by_a_stranger(bench):
    bench.tree.signers["timestamp"] = [Key()]
    bench.tree.build()
    yield State(EVERY)


@row(20)
def one_key_for_all_roles(bench):
    for role in ("targets", "snapshot", "timestamp"):
        bench.tree.use(role, bench.tree.signers["root"])
    bench.tree.build()
    yield State(ours=True)


# Times.


def expired(number: int, role: str) -> None:
    @row(number)
    def one_role(bench):
        getattr(bench.tree, role)["expires"] = PAST
        bench.tree.build()
        yield State(EVERY)


for number, role in ((21, "timestamp"), (22, "snapshot"), (23, "targets"), (24, "root")):
    expired(number, role)


@row(25)
def old_roots_that_expired(bench):
    bench.tree.root["expires"] = PAST
    bench.tree.next_root()
    bench.tree.next_root()["expires"] = FAR
    bench.tree.build()
    yield State()


@row(26)
def ten_years(bench):
    for role in ("targets", "snapshot"):
        getattr(bench.tree, role)["expires"] = FAR
    bench.tree.build()
    yield State()


@row(27)
def times_in_another_form(bench):
    for end in (".000Z", "+00:00"):
        bench.tree.timestamp["expires"] = FAR.replace("Z", end)
        bench.tree.build()
        yield State("PGT", fresh=True)


@row(28)
def the_year_9999(bench):
    bench.tree.targets["expires"] = "9999-12-31T23:59:59Z"
    bench.tree.build()
    yield State("T")


# The form of documents.


@row(29)
def earlier_and_later_minor_versions(bench):
    for version in ("1.0", "1.1.0"):
        for signed in (bench.tree.root, bench.tree.targets, bench.tree.snapshot, bench.tree.timestamp):
            signed["spec_version"] = version
        bench.tree.build()
        bench.bootstrap()
        yield State(fresh=True, ours=True)


@row(30)
def the_next_major_version(bench):
    bench.tree.timestamp["spec_version"] = "2.0.0"
    bench.tree.build()
    yield State("PJ")


def unprefixed(tree: Tree) -> None:
    """The same files under the names of a repository without consistent snapshots."""
    for name in list(tree.files):
        plain = re.sub(r"^\d+\.(targets|snapshot)", r"\1", re.sub(r"^targets/[0-9a-f]{64}\.", "targets/", name))
        tree.files.setdefault(plain, tree.files[name])


@row(31)
def no_consistent_snapshots(bench):
    bench.tree.root["consistent_snapshot"] = False
    unprefixed(bench.tree.build())
    yield State(ours=True)


@row(32)
def consistent_snapshot_unsaid(bench):
    del bench.tree.root["consistent_snapshot"]
    unprefixed(bench.tree.build())
    yield State("JGT")


def digests(tree: Tree, change: Callable[[dict, bytes], None]) -> None:
    """Changes the hashes of every target."""
    for name, entry in tree.targets["targets"].items():
        change(entry["hashes"], tree.files[f"targets/{entry['hashes']['sha256']}.{name}"])


def sha512(content: bytes) -> str:
    return hashlib.sha512(content).hexdigest()


@row(33)
def two_hashes_and_one_file(bench):
    digests(bench.tree, lambda hashes, content: hashes.update(sha512=sha512(content)))
    bench.tree.build()
    # go-tuf takes the prefix from a map in random order.
    yield State(either="G", ours=True)


@row(34)
def sha512_alone(bench):
    for name, entry in bench.tree.targets["targets"].items():
        content = bench.tree.files[bench.tree.target(name)]
        bench.tree.files[f"targets/{sha512(content)}.{name}"] = content
        entry["hashes"] = {"sha512": sha512(content)}
    bench.tree.build()
    yield State("T")


@row(35)
def hashes_in_capitals(bench):
    for name in TARGETS:
        path = bench.tree.target(name)
        bench.tree.files[f"targets/{path[8:72].upper()}.{name}"] = bench.tree.files[path]
    digests(bench.tree, lambda hashes, _: hashes.update(sha256=hashes["sha256"].upper()))
    bench.tree.build()
    yield State("PJG")
