//! A check finds every damage, says where it is, and finds nothing else.

use std::path::Path;

use logstore::{Head, LogState};
use rekor_rs::fsck::{self, Finding, GuardState, Options, Remedy, Report};
use serde_json::Value;
use tlog::{Hash, TileId};

use crate::damage::{Intruder, fill};
use crate::dsse::envelope_entry;
use crate::on_every_store;
use crate::stack::Stack;

/// More than one tile.
const SIZE: usize = 300;

const FULL: TileId = TileId { level: 0, index: 0 };
const EDGE: TileId = TileId { level: 0, index: 1 };
const UPPER: TileId = TileId { level: 1, index: 0 };

fn options(stack: &Stack) -> Options {
    Options {
        guard_dir: Some(stack.directory.path().join("guards")),
        ..Options::default()
    }
}

async fn check(stack: &Stack) -> Report {
    fsck::run(&stack.store, &options(stack)).await.unwrap()
}

/// Findings of the only log and of the index.
async fn findings(stack: &Stack) -> Vec<Finding> {
    let report = check(stack).await;
    let index = report.search_index.unwrap().findings;
    let mut list = report.logs[0].findings.list.clone();
    list.extend(index.list);
    assert_eq!(report.ok, list.is_empty());
    list
}

/// Places and remedies of what is found.
async fn found(stack: &Stack) -> Vec<(String, Remedy)> {
    let findings = findings(stack).await;
    findings
        .into_iter()
        .map(|finding| (finding.place, finding.remedy))
        .collect()
}

fn at(place: &str, remedy: Remedy) -> (String, Remedy) {
    (place.to_owned(), remedy)
}

async fn nothing(stack: &Stack) {
    assert_eq!(findings(stack).await, []);
}

async fn tile(stack: &Stack, intruder: &Intruder, id: TileId) -> Vec<Hash> {
    stack.store.tiles(intruder.log, &[id]).await.unwrap()[0]
        .clone()
        .unwrap()
}

on_every_store! {
    async fn a_sound_log_has_no_findings(stack) {
        nothing(stack).await;
        fill(stack, 3).await;
        stack.create(&envelope_entry()).await;
        nothing(stack).await;
        fill(stack, SIZE).await;
        let report = check(stack).await;
        assert!(report.ok, "{report:?}");
        let log = &report.logs[0];
        assert_eq!((log.size, log.guard), (SIZE as u64 + 4, GuardState::Compared));
        let head = stack.store.head(stack.store.logs().await.unwrap()[0].id).await.unwrap();
        assert_eq!(log.root, head.root.to_string());
        assert!(report.search_index.unwrap().rows > log.size);
    }

    async fn damaged_entries_are_named(stack) {
        fill(stack, SIZE).await;
        let intruder = Intruder::new(stack).await;
        let entries = stack.store.entries(intruder.log, 0, 999).await.unwrap();
        for index in [5_u64, 255, 299] {
            let body = &entries[index as usize].body;
            // A digit of the artifact's digest: the body stays canonical.
            let mut flipped = body.clone();
            let digit = flipped.windows(8).position(|word| word == b"\"value\":").unwrap() + 9;
            flipped[digit] ^= 1;
            intruder.set_body(index, &flipped).await;
            assert_eq!(found(stack).await, [at(&format!("entry {index}"), Remedy::RestoreEntry)]);
            intruder.set_body(index, body).await;
        }
        intruder.set_body(6, b"{}").await;
        let problems: Vec<_> = findings(stack).await.into_iter().map(|found| found.problem).collect();
        assert!(problems[0].contains("not canonical"), "{problems:?}");
        intruder.set_body(6, &entries[6].body).await;
        nothing(stack).await;

        let far = 1 << 40;
        intruder.move_entry(7, far).await;
        let missing = findings(stack).await;
        assert_eq!((&*missing[0].place, missing[0].remedy), ("entry 7", Remedy::RestoreEntry));
        assert!(missing[0].problem.contains(&entries[7].leaf_hash.to_string()), "{missing:?}");
        assert_eq!(missing.len(), 1, "{missing:?}");
        intruder.move_entry(far, 7).await;

        for (from, to) in [(10, far), (200, 10), (far, 200)] {
            intruder.move_entry(from, to).await;
        }
        let swapped = found(stack).await;
        for index in [10, 200] {
            let swap = at(&format!("entry {index}"), Remedy::RestoreEntry);
            assert!(swapped.contains(&swap), "{swapped:?}");
        }
        for (from, to) in [(10, far), (200, 10), (far, 200)] {
            intruder.move_entry(from, to).await;
        }
        nothing(stack).await;

        intruder.run("UPDATE entry SET timestamp_ms = timestamp_ms + 3600000 WHERE log = LOG AND idx = 8").await;
        let named = at("entry 8", Remedy::RestoreEntry);
        assert_eq!(found(stack).await, [named, at("entries of tile 0/000", Remedy::RestoreEntry)]);
        intruder.run("UPDATE entry SET timestamp_ms = timestamp_ms - 3600000 WHERE log = LOG AND idx = 8").await;
        nothing(stack).await;
        // In order, and yet not what was promised.
        intruder.run("UPDATE entry SET timestamp_ms = timestamp_ms + 1000 WHERE log = LOG AND idx = 299").await;
        let late = findings(stack).await;
        assert_eq!((late.len(), &*late[0].place), (1, "entry 299"));
        assert!(late[0].problem.contains("its signed entry timestamp does not verify"), "{late:?}");
        intruder.run("UPDATE entry SET timestamp_ms = timestamp_ms - 1000 WHERE log = LOG AND idx = 299").await;
        // An entry among others that the key vouches for, in a log that takes no more.
        stack.store.set_state(intruder.log, LogState::Frozen).await.unwrap();
        intruder.run("UPDATE entry SET promise = NULL WHERE log = LOG AND idx = 8").await;
        nothing(stack).await;
        intruder.run("UPDATE entry SET timestamp_ms = timestamp_ms + 3600000 WHERE log = LOG AND idx = 8").await;
        assert_eq!(found(stack).await, [at("entries of tile 0/000", Remedy::RestoreEntry)]);
        intruder.run("UPDATE entry SET timestamp_ms = timestamp_ms - 3600000 WHERE log = LOG AND idx = 8").await;
        // Entries of an older program: the order of times is all there is.
        intruder.run("UPDATE entry SET promise = NULL WHERE log = LOG").await;
        nothing(stack).await;
        intruder.run("UPDATE entry SET timestamp_ms = timestamp_ms + 3600000 WHERE log = LOG AND idx = 8").await;
        assert_eq!(found(stack).await, [at("entries of tile 0/000", Remedy::RestoreEntry)]);
    }

    async fn duplicates_are_found(stack) {
        fill(stack, 20).await;
        let intruder = Intruder::new(stack).await;
        intruder.run("DROP INDEX entry_identity").await;
        intruder.run(
            "UPDATE entry SET identity = (SELECT identity FROM entry WHERE log = LOG AND idx = 3)
             WHERE log = LOG AND idx = 5",
        ).await;
        let duplicates = findings(stack).await;
        let duplicates: Vec<_> =
            duplicates.iter().filter(|finding| finding.remedy == Remedy::Duplicate).collect();
        // Which of them the index finds is its affair.
        assert!((1..=2).contains(&duplicates.len()), "{duplicates:?}");
        let said = format!("{} {}", duplicates[0].place, duplicates[0].problem);
        assert!(said.contains("entry 3") && said.contains("entry 5"), "{said}");
    }

    async fn damaged_tiles_are_told_from_damaged_entries(stack) {
        fill(stack, SIZE).await;
        let intruder = Intruder::new(stack).await;
        for (id, place, name) in [(FULL, 3, "tile 0/000"), (EDGE, 43, "tile 0/001"), (UPPER, 0, "tile 1/000")] {
            let hashes = tile(stack, &intruder, id).await;
            let mut wrong = hashes.clone();
            wrong[place].0[31] ^= 0x80;
            intruder.set_tile(id, &wrong).await;
            let findings = findings(stack).await;
            // With the upper tile damaged nobody can tell which is right, except by the root.
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert_eq!((&*findings[0].place, findings[0].remedy), (name, Remedy::RestoreTile));
            assert!(findings[0].problem.contains(&format!("hash {place} ")), "{findings:?}");
            intruder.set_tile(id, &hashes).await;

            let less = &hashes[..hashes.len().div_ceil(2).min(hashes.len() - 1).max(1)];
            if less.len() < hashes.len() {
                intruder.set_tile(id, less).await;
                assert_eq!(found(stack).await, [at(name, Remedy::RestoreTile)]);
                intruder.set_tile(id, &hashes).await;
            }
            let TileId { level, index } = id;
            let moved = |from: u64, to: u64| {
                format!("UPDATE tile SET idx = {to} WHERE log = LOG AND level = {level} AND idx = {from}")
            };
            intruder.run(&moved(index, 1 << 30)).await;
            assert_eq!(found(stack).await, [at(name, Remedy::RestoreTile)]);
            intruder.run(&moved(1 << 30, index)).await;
            nothing(stack).await;
        }
    }

    async fn an_old_or_wrong_head_is_found(stack) {
        fill(stack, 200).await;
        let intruder = Intruder::new(stack).await;
        let old = stack.store.head(intruder.log).await.unwrap();
        fill(stack, SIZE - 200).await;
        let new = stack.store.head(intruder.log).await.unwrap();

        // A checkpoint that somebody kept is part of the log; one of a larger log shows a roll-back.
        let kept = |head: &Head| Options {
            checkpoints: vec![String::from_utf8(head.signed.to_vec()).unwrap()],
            guard_dir: None,
            ..Options::default()
        };
        assert!(fsck::run(&stack.store, &kept(&old)).await.unwrap().ok);
        intruder.set_head(&old).await;
        let report = fsck::run(&stack.store, &kept(&new)).await.unwrap();
        let list = &report.logs[0].findings.list;
        assert_eq!(list[0].place, "kept checkpoint of 300 entries");
        assert_eq!((list[0].remedy, report.logs[0].guard), (Remedy::RolledBack, GuardState::Absent));
        let places = found(stack).await;
        for expected in [
            at("roll-back guard", Remedy::RolledBack),
            at("entry 200", Remedy::RestoreDatabase),
            at("tile 0/000", Remedy::RestoreDatabase),
        ] {
            assert!(places.contains(&expected), "{expected:?} in {places:?}");
        }

        let wrong_root = Head { root: Hash([7; 32]), ..new.clone() };
        intruder.set_head(&wrong_root).await;
        let places = found(stack).await;
        for place in ["checkpoint", "head"] {
            assert!(places.contains(&at(place, Remedy::RestoreDatabase)), "{places:?}");
        }
        let mut foreign = String::from_utf8(new.signed.to_vec()).unwrap();
        // Another signature of the right form.
        let end = foreign.len() - 4;
        foreign.replace_range(end - 8..end, "AAAAAAAA");
        for signed in [old.signed.to_vec(), foreign.into_bytes(), b"nonsense".to_vec()] {
            intruder.set_head(&Head { signed: signed.into(), ..new.clone() }).await;
            assert_eq!(found(stack).await, [at("checkpoint", Remedy::RestoreDatabase)]);
        }
        intruder.set_head(&Head { signed: Vec::new().into(), ..new.clone() }).await;
        assert_eq!(found(stack).await, [at("head", Remedy::FinishImport)]);
        intruder.set_head(&new).await;
        nothing(stack).await;
    }

    async fn the_guard_file_is_compared(stack) {
        fill(stack, 5).await;
        let intruder = Intruder::new(stack).await;
        let guard = stack.directory.path().join(format!("guards/{}.guard", intruder.log));
        let intact = std::fs::read(&guard).unwrap();
        std::fs::write(&guard, "nonsense").unwrap();
        let findings = findings(stack).await;
        assert_eq!(findings[0].place, "roll-back guard");
        assert!(findings[0].problem.contains("not a roll-back guard"), "{findings:?}");
        std::fs::write(&guard, intact).unwrap();
        let key = intruder.bytes(b"another key");
        intruder.run(&format!("UPDATE log SET public_key = {key} WHERE id = LOG")).await;
        let places = found(stack).await;
        assert!(places.contains(&at("roll-back guard", Remedy::CheckConfiguration)), "{places:?}");
        assert!(places.contains(&at("log", Remedy::RestoreDatabase)), "{places:?}");
    }

    async fn the_search_index_is_compared_and_repaired(stack) {
        fill(stack, SIZE).await;
        let (id, _) = stack.create(&envelope_entry()).await;
        let intruder = Intruder::new(stack).await;
        let [one, other] = [[1; 16], [2; 16]].map(|key| intruder.bytes(&key));
        for sql in [
            "DELETE FROM search_key WHERE log = LOG AND idx = 300".to_owned(),
            "DELETE FROM search_key WHERE log = LOG AND idx = 17".to_owned(),
            format!("INSERT INTO search_key (key, log, idx) VALUES ({one}, LOG, 5), ({other}, LOG, 299)"),
            format!("INSERT INTO search_key (key, log, idx) VALUES ({one}, LOG, 1000000)"),
            format!("INSERT INTO search_key (key, log, idx) VALUES ({one}, 4, 0)"),
        ] {
            intruder.run(&sql).await;
        }
        let report = check(stack).await;
        assert!(report.logs[0].findings.is_empty());
        let findings = report.search_index.unwrap().findings;
        let of = |place: &str, problem: &str| {
            let matches = |found: &&Finding| found.place.ends_with(place) && found.problem.ends_with(problem);
            findings.list.iter().filter(matches).count()
        };
        // A subject of the statement is among the keys, and its text is stored nowhere.
        assert!(of("entry 300", "is missing") > 4, "{findings:?}");
        assert!(of("entry 17", "is missing") >= 2, "{findings:?}");
        for place in ["entry 5", "entry 299", "entry 1000000", "log 4, entry 0"] {
            assert_eq!(of(place, "belongs to no entry"), 1, "{place} in {findings:?}");
        }
        assert_eq!(findings.count as usize, findings.list.len());
        assert!(findings.list.iter().all(|finding| finding.remedy == Remedy::RepairIndex));

        let repair = Options { repair_index: true, ..options(stack) };
        let report = fsck::run(&stack.store, &repair).await.unwrap();
        assert!(report.ok);
        assert_eq!(report.search_index.unwrap().repaired, findings.count);
        nothing(stack).await;
        let hash = "0".repeat(64);
        assert_eq!(stack.search(serde_json::json!({"hash": hash})).await, [id]);

        // Nothing is made from damaged entries.
        intruder.set_body(3, b"{}").await;
        intruder.run("DELETE FROM search_key WHERE log = LOG AND idx = 17").await;
        let report = fsck::run(&stack.store, &repair).await.unwrap();
        assert!(!report.ok && report.search_index.is_none());
    }

    async fn the_command_runs_beside_the_service(stack) {
        fill(stack, SIZE).await;
        let directory = stack.directory.path();
        let state = directory.join("state.json");
        let config = directory.join("rekor.yaml");
        let text = format!(
            "hostname: rekor.test\nguard-dir: {dir}/guards\n\
             logs: [{{kind: rekor-v1, key: 'file:{dir}/log.key'}}]\nserver: {{database: '{}'}}\n",
            stack.database,
            dir = directory.display()
        );
        std::fs::write(&config, text).unwrap();
        let state_path = state.to_str().unwrap();
        let (code, text, _) = fsck_command(&config, &["--state", state_path]).await;
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("300 entries") && text.contains("sound"), "{text}");
        assert!(!state.exists(), "a check that is complete leaves no state");

        fill(stack, 10).await;
        let intruder = Intruder::new(stack).await;
        intruder.set_body(4, b"{}").await;
        let (code, text, _) = fsck_command(&config, &["--json"]).await;
        assert_eq!(code, 1, "{text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["ok"], false);
        assert_eq!(report["logs"][0]["id"], intruder.log.to_string());
        assert_eq!(report["logs"][0]["findings"]["list"][0]["place"], "entry 4");
        let (code, text, _) = fsck_command(&config, &[]).await;
        assert_eq!(code, 1);
        assert!(text.contains("entry 4: ") && text.contains("what to do: "), "{text}");

        let (code, _, error) = fsck_command(&config, &["--log", "7"]).await;
        assert_eq!(code, 2, "{error}");
        assert!(error.contains("no log has the id 7"), "{error}");
        std::fs::write(&state, "{}").unwrap();
        let (code, _, error) = fsck_command(&config, &["--state", state_path]).await;
        assert_eq!(code, 2, "{error}");
        assert!(error.contains("remove it to begin again"), "{error}");
    }
}

async fn fsck_command(config: &Path, more: &[&str]) -> (i32, String, String) {
    run_command("fsck", config, more).await
}

/// Runs a command of the service's binary; returns exit code and both outputs.
pub(crate) async fn run_command(name: &str, config: &Path, more: &[&str]) -> (i32, String, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_rekor-rs"))
        .arg(name)
        .arg("--config")
        .arg(config)
        .args(more)
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}
