"""The rows of the profile's table that are about files, chains of roots, rotations, caches and mirrors."""

from __future__ import annotations

import json
import shutil

from tuf_lab import Key
from tuf_rows import EVERY, FAR, State, row


# Files that are not what they should be.


@row(36)
def a_flipped_bit(bench):
    path = bench.tree.target()
    content = bytearray(bench.tree.files[path])
    content[20] ^= 1
    bench.tree.files[path] = bytes(content)
    yield State(EVERY)


@row(37)
def a_longer_target(bench):
    bench.tree.files[bench.tree.target()] += b"\n"
    yield State(EVERY)


@row(38)
def a_missing_target(bench):
    del bench.tree.files[bench.tree.target()]
    yield State(EVERY)


@row(39)
def a_target_that_is_not_listed(bench):
    del bench.tree.targets["targets"]["trusted_root.json"]
    bench.tree.next("targets")
    bench.tree.build()
    # tough and ours take what is listed; that it is too little is for whoever asks for a file.
    yield State("PJG", ours=False)


@row(40)
def a_missing_snapshot(bench):
    del bench.tree.files["1.snapshot.json"]
    yield State(EVERY)


def mixed(number: int, role: str) -> None:
    @row(number)
    def new_number_old_file(bench):
        old = bench.tree.files[f"1.{role}.json"]
        bench.tree.next(role)
        bench.tree.build()
        bench.tree.files[f"2.{role}.json"] = old
        yield State(EVERY)


mixed(41, "snapshot")
mixed(42, "targets")


@row(43)
def the_timestamp_first(bench):
    later = bench.tree.copy()
    later.next("targets")
    later.build()
    bench.tree.files["timestamp.json"] = later.files["timestamp.json"]
    yield State(EVERY)


@row(44)
def all_but_the_timestamp(bench):
    yield State(timestamp=1)
    later = bench.tree.copy()
    later.next_root()
    later.next("targets")
    later.build()
    bench.tree = later
    later.files["timestamp.json"] = bench.tree.envelope(bench.tree.timestamp | {"version": 1, "meta": {"snapshot.json": {"version": 1}}}, bench.tree.signers["timestamp"])
    yield State(timestamp=1)
    yield State(fresh=True, timestamp=1)


# Chains of roots.


@row(45)
def six_roots(bench):
    for _ in range(5):
        bench.tree.next_root()
        bench.tree.use("root", [Key()])
    bench.tree.build()
    yield State()


@row(46)
def all_root_keys_replaced(bench):
    bench.tree.use("root", [Key(), Key()], threshold=2)
    bench.tree.next_root()
    bench.tree.use("root", [Key(), Key()], threshold=2)
    bench.tree.build()
    yield State()


def one_quorum(number: int, which: slice) -> None:
    @row(number)
    def missing_quorum(bench):
        bench.tree.next_root()
        bench.tree.use("root", [Key()])
        bench.tree.root_signers[-1] = bench.tree.root_signers[-1][which]
        bench.tree.build()
        yield State(EVERY)


one_quorum(47, slice(1, None))
one_quorum(48, slice(0, 1))


@row(49)
def a_version_that_is_not_the_name_s(bench):
    bench.tree.next_root()["version"] = 3
    bench.tree.build()
    bench.tree.files["2.root.json"] = bench.tree.files.pop("3.root.json")
    yield State(EVERY)


@row(50)
def the_first_root_again(bench):
    bench.tree.files["2.root.json"] = bench.tree.files["1.root.json"]
    yield State(EVERY)


@row(51)
def a_gap_in_the_roots(bench):
    bench.tree.next_root()
    bench.tree.next_root()
    bench.tree.build()
    del bench.tree.files["2.root.json"]
    yield State()


@row(52)
def a_pruned_root(bench):
    bench.tree.next_root()
    bench.tree.next_root()
    bench.tree.use("timestamp", [Key()])
    bench.tree.next()
    bench.tree.build()
    del bench.tree.files["2.root.json"]
    yield State(EVERY)


def raised_threshold(number: int, signing: int, refused: str) -> None:
    @row(number)
    def three(bench):
        keys = [Key(), Key(), Key()]
        bench.tree.use("root", keys, threshold=2)
        bench.tree.next_root()
        bench.tree.next_root()
        bench.tree.use("root", keys, threshold=3)
        bench.tree.root_signers[-1] = keys[:signing]
        bench.tree.build()
        yield State(refused)


raised_threshold(53, 2, EVERY)
raised_threshold(54, 3, "")


def many_roots(number: int, more: int) -> None:
    @row(number)
    def ahead(bench):
        for _ in range(more):
            bench.tree.next_root()
        bench.tree.build()
        yield State()


many_roots(55, 41)
many_roots(56, 301)


# Rotations.


@row(57)
def a_new_online_key_and_the_old_timestamp(bench):
    old = list(bench.tree.signers["timestamp"])
    bench.tree.next_root()
    bench.tree.use("timestamp", [Key()])
    bench.tree.signers["timestamp"] = old
    bench.tree.build()
    yield State(EVERY)


@row(58)
def an_online_key_in_good_order(bench):
    yield State()
    new = Key()
    bench.tree.signers["timestamp"] = [*bench.tree.signers["timestamp"], new]
    bench.tree.next()
    bench.tree.build()
    yield State(timestamp=2)
    both = list(bench.tree.signers["timestamp"])
    bench.tree.next_root()
    bench.tree.use("timestamp", [new])
    bench.tree.signers["timestamp"] = both
    bench.tree.build()
    yield State(timestamp=2)
    bench.tree.signers["timestamp"] = [new]
    bench.tree.next()
    bench.tree.build()
    yield State(timestamp=3)
    yield State(fresh=True, timestamp=3)


@row(59)
def a_new_targets_key_and_the_old_targets(bench):
    old = list(bench.tree.signers["targets"])
    bench.tree.next_root()
    bench.tree.use("targets", [Key()])
    bench.tree.signers["targets"] = old
    bench.tree.build()
    yield State(EVERY)


@row(60)
def either_of_two_online_keys(bench):
    ours, theirs = Key(), Key()
    for role in ("snapshot", "timestamp"):
        bench.tree.use(role, [ours, theirs])
    for key in (ours, theirs):
        bench.tree.signers.update(snapshot=[key], timestamp=[key])
        bench.tree.build()
        bench.bootstrap()
        yield State(fresh=True)


# Clients that have been here before. Our own client looks without a cache.


@row(61)
def a_timestamp_that_goes_back(bench):
    bench.tree.timestamp["version"] = 3
    bench.tree.build()
    yield State()
    bench.tree.timestamp["version"] = 1
    bench.tree.build()
    yield State(EVERY, ours=False)


@row(62)
def a_snapshot_that_goes_back(bench):
    old = bench.tree.copy()
    bench.tree.next("snapshot")
    bench.tree.build()
    yield State()
    old.timestamp["version"] = 3
    old.build()
    bench.tree = old
    yield State(EVERY, ours=False)


@row(63)
def a_restored_backup(bench):
    backup = bench.tree.copy()
    bench.tree.next("targets")
    bench.tree.build()
    yield State()
    bench.tree = backup
    yield State(EVERY, ours=False)


@row(64)
def another_content_under_the_same_version(bench):
    yield State(timestamp=1)
    bench.tree.timestamp["expires"] = FAR
    bench.tree.build()
    yield State(timestamp=1)
    trusted = json.loads((bench.folder / "caches/P/metadata/timestamp.json").read_text())
    assert trusted["signed"]["expires"] != FAR, "ignored"


@row(65)
def a_snapshot_that_forgets_targets(bench):
    yield State()
    bench.tree.next("snapshot")
    bench.tree.snapshot["meta"] = {}
    bench.tree.build()
    yield State(EVERY)


def fast_forward(bench) -> None:
    bench.tree.timestamp["version"] = 1_000_000
    bench.tree.build()


def back_from_it(bench) -> None:
    bench.tree.timestamp["version"] = 2
    bench.tree.next_root()
    bench.tree.build()


@row(66)
def fast_forward_and_a_new_root(bench):
    fast_forward(bench)
    yield State(timestamp=1_000_000)
    back_from_it(bench)
    yield State(EVERY, ours=False)


@row(67)
def fast_forward_and_new_online_keys(bench):
    fast_forward(bench)
    yield State(timestamp=1_000_000)
    bench.tree.timestamp["version"] = 2
    bench.tree.next_root()
    for role in ("snapshot", "timestamp"):
        bench.tree.use(role, [Key()])
    bench.tree.build()
    yield State(timestamp=2)


@row(68)
def a_stolen_key_after_its_rotation(bench):
    stolen = list(bench.tree.signers["timestamp"])
    bench.tree.next_root()
    for role in ("snapshot", "timestamp"):
        bench.tree.use(role, [Key()])
    bench.tree.build()
    yield State()
    bench.tree.signers["timestamp"] = stolen
    bench.tree.next()
    bench.tree.build()
    yield State(EVERY)


@row(69)
def made_again_at_the_same_url(bench):
    yield State()
    for role in ("root", "targets", "snapshot", "timestamp"):
        bench.tree.use(role, [Key()])
    bench.tree.build()
    bench.bootstrap()
    # cosign forgets its cache with `initialize`, tough has none for roots.
    shutil.rmtree(bench.folder / "caches/G")
    yield State("J", ours=False)


# Mirrors.


@row(70)
def a_mirror_that_is_down(bench):
    yield State()
    bench.lab.down.add(bench.name)
    yield State(EVERY)


def next_root_answers(number: int, statuses: dict[int, str]) -> None:
    @row(number)
    def no_404(bench):
        for status, refused in statuses.items():
            bench.lab.answers[bench.name] = lambda path, s=status: (s, b"no\n") if path == "2.root.json" else None
            yield State(refused, fresh=True)


next_root_answers(71, {403: "G"})
next_root_answers(72, {410: "PJG", 500: "PJG"})


@row(73)
def compressed_answers(bench):
    bench.lab.zipped.add(bench.name)
    yield State()


@row(74)
def a_url_with_a_slash(bench):
    # python-tuf is given both URLs by whoever drives it, and our driver strips the slash.
    yield State("J", slash="/", ours=False)


@row(75)
def too_long(bench):
    bench.tree.build()
    whole = bench.tree.files["timestamp.json"]
    bench.tree.files["timestamp.json"] = whole + b" " * 20_000
    yield State("PJG", fresh=True)
    bench.tree.files["timestamp.json"] = whole
    bench.tree.next_root()
    bench.tree.build()
    bench.tree.files["2.root.json"] += b" " * 600_000
    yield State("PJG", fresh=True)
