//! A log in another place: exported, verified offline, imported, and served without its key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use logstore::{LogId, LogState, SharedStore};
use rekor_rs::archive::{self, Options};
use rekor_rs::fsck::{self, Remedy};
use rekor_rs::import::{self, ImportError, Remote};
use serde_json::{Value, json};

use crate::damage::{Intruder, fill};
use crate::dsse::envelope_entry;
use crate::fsck::run_command;
use crate::intoto::attested_entry;
use crate::on_every_store;
use crate::stack::{Backend, Stack, unique_hashedrekord};

/// Writes an export with promises.
async fn export(stack: &Stack, directory: &Path) -> archive::Exported {
    let record = stack.store.logs().await.unwrap().remove(0);
    let key = keys::FileSigner::load_unencrypted(&stack.directory.path().join("log.key")).unwrap();
    let options = Options {
        promises: Some((Arc::new(key), 0)),
    };
    archive::export(&stack.store, &record, directory, &options)
        .await
        .unwrap()
}

/// DER of the stack's only log.
async fn key(stack: &Stack) -> Vec<u8> {
    stack.public_key("").await.spki_der().to_vec()
}

async fn problems(directory: &Path, key: &[u8]) -> Vec<(String, Remedy)> {
    let report = import::verify_archive(directory, key).await.unwrap();
    let list = report.findings.list.into_iter();
    list.map(|finding| (finding.place, finding.remedy))
        .collect()
}

/// All files below a directory, relative to it.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path.strip_prefix(directory).unwrap().display().to_string()),
            }
        }
    }
    found.sort();
    found
}

/// An empty store of the same kind as the stack's.
async fn empty_store(stack: &Stack) -> (SharedStore, Option<tempfile::TempDir>) {
    if stack.database.starts_with("sqlite:") {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("copy.db");
        let store = logstore_sqlite::SqliteStore::open(&path).await.unwrap();
        return (Arc::new(store), Some(directory));
    }
    let database = logstore_postgres::testing::server().await.database().await;
    let store = logstore_postgres::PostgresStore::connect(database.url(), 4)
        .await
        .unwrap();
    (Arc::new(store), None)
}

/// Entries of a log as its API gives them, without what moves on with the tree.
async fn served(stack: &Stack, ids: &[String]) -> Vec<Value> {
    let mut all = Vec::new();
    for id in ids {
        let text = stack
            .get(&format!("/api/v1/log/entries/{id}"))
            .await
            .text()
            .await
            .unwrap();
        let (found, mut entry) = stack.check(&text).await;
        assert_eq!(&found, id);
        entry["verification"]["inclusionProof"] = Value::Null;
        all.push(entry);
    }
    all
}

/// Serves, on the stack's second store, the copy of a log with the public half of its key, and a new
/// shard after it.
async fn serve_copy(stack: &mut Stack, store: SharedStore, public_key: &str) {
    let directory = stack.directory.path();
    std::fs::write(directory.join("copied.pem"), public_key).unwrap();
    stack.new_key("next.key");
    stack.store = store;
    let config = stack
        .config(
            "[{kind: rekor-v1, key: 'public:DIR/copied.pem'}, {kind: rekor-v1, key: 'file:DIR/next.key'}]",
            "",
        );
    let config = rekor_rs::Config {
        guard_dir: directory.join("guards-of-the-copy"),
        ..config
    };
    stack.restart_with(config).await;
}

on_every_store! {
    async fn an_export_is_tiles_and_is_verified_with_the_key_alone(stack) {
        fill(stack, 300).await;
        let target = tempfile::tempdir().unwrap();
        let directory = target.path();
        let exported = export(stack, directory).await;
        assert_eq!((exported.size, exported.before), (300, 0));
        assert_eq!(files(directory), [
            "checkpoint",
            "log.json",
            "restore/000",
            "restore/001.p/44",
            "tile/0/000",
            "tile/0/001.p/44",
            "tile/1/000.p/1",
            "tile/entries/000",
            "tile/entries/001.p/44",
        ]);
        let info: Value = stack.get("/api/v1/log").await.json().await.unwrap();
        let note = std::fs::read_to_string(directory.join("checkpoint")).unwrap();
        assert_eq!(info["signedTreeHead"], note);
        // The form of C2SP tlog-tiles: a body after its length in two bytes.
        let bundle = std::fs::read(directory.join("tile/entries/000")).unwrap();
        let length = usize::from(u16::from_be_bytes([bundle[0], bundle[1]]));
        let leaf = tlog::leaf_hash(&bundle[2..2 + length]);
        assert_eq!(std::fs::read(directory.join("tile/0/000")).unwrap()[..32], leaf.0);

        let key = key(stack).await;
        assert_eq!(problems(directory, &key).await, []);
        stack.new_key("other.key");
        let other = keys::FileSigner::load_unencrypted(&stack.directory.path().join("other.key")).unwrap();
        let other = keys::Signer::public_key(&other).spki_der().to_vec();
        let refused = import::verify_archive(directory, &other).await.unwrap_err().to_string();
        assert!(refused.contains("checkpoint"), "{refused}");

        for (file, at, place) in [
            ("tile/entries/000", 40, "entry 0"),
            ("tile/0/000", 33, "tile 0/000"),
            ("tile/1/000.p/1", 0, "tile 1/000"),
            ("tile/0/001.p/44", 5, "tile 0/001"),
        ] {
            let path = directory.join(file);
            let intact = std::fs::read(&path).unwrap();
            let mut flipped = intact.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, &flipped).unwrap();
            let found = problems(directory, &key).await;
            assert!(found.iter().any(|(found, _)| found == place), "{file}: {found:?}");
            std::fs::write(&path, &intact[..intact.len() - 32]).unwrap();
            assert!(!problems(directory, &key).await.is_empty(), "{file} cut short");
            std::fs::remove_file(&path).unwrap();
            assert!(!problems(directory, &key).await.is_empty(), "{file} removed");
            std::fs::write(&path, intact).unwrap();
        }
        // A promise vouches for an entry's time.
        let path = directory.join("restore/000");
        let intact = std::fs::read_to_string(&path).unwrap();
        let (before, after) = intact.split_once("\"timestampMs\":1").unwrap();
        std::fs::write(&path, format!("{before}\"timestampMs\":2{after}")).unwrap();
        let found = problems(directory, &key).await;
        let places: Vec<_> = found.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["entry 0", "entries of tile 0/000"], "and it is before the next one's");
        std::fs::write(&path, intact).unwrap();
        assert_eq!(problems(directory, &key).await, []);
    }

    async fn an_export_grows_with_its_log_and_refuses_another(stack) {
        fill(stack, 250).await;
        let target = tempfile::tempdir().unwrap();
        let directory = target.path();
        export(stack, directory).await;
        let key = key(stack).await;
        for size in [256_u64, 257, 520] {
            let there = stack.store.head(stack.store.logs().await.unwrap()[0].id).await.unwrap().size;
            fill(stack, usize::try_from(size - there).unwrap()).await;
            let exported = export(stack, directory).await;
            assert_eq!((exported.size, exported.before), (size, there));
            assert_eq!(problems(directory, &key).await, []);
        }
        // Nothing of the smaller trees is left behind, and full tiles are not written again.
        assert!(files(directory).iter().all(|file| !file.contains(".p/") || file.ends_with(".p/8") || file.ends_with(".p/2")));
        let tile = directory.join("tile/0/000");
        let written = std::fs::metadata(&tile).unwrap().modified().unwrap();
        fill(stack, 1).await;
        export(stack, directory).await;
        assert_eq!(std::fs::metadata(&tile).unwrap().modified().unwrap(), written);

        let earlier = stack.store.head(stack.store.logs().await.unwrap()[0].id).await.unwrap();
        // Interrupted before its checkpoint, it is that of the smaller tree, and can be gone on with.
        let old = std::fs::read(directory.join("checkpoint")).unwrap();
        fill(stack, 300).await;
        export(stack, directory).await;
        std::fs::write(directory.join("checkpoint"), old).unwrap();
        std::fs::remove_file(directory.join("tile/1/000.p/3")).unwrap();
        export(stack, directory).await;
        assert_eq!(problems(directory, &key).await, []);

        let other = Stack::start(Backend::Sqlite).await;
        fill(&other, 3).await;
        let record = other.store.logs().await.unwrap().remove(0);
        let refused = archive::export(&other.store, &record, directory, &Options::default()).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("another directory"), "{refused}");
        // A database that was rolled back.
        let intruder = Intruder::new(stack).await;
        intruder.set_head(&earlier).await;
        let record = stack.store.logs().await.unwrap().remove(0);
        let refused = archive::export(&stack.store, &record, directory, &Options::default()).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("does not continue"), "{refused}");
    }

    async fn an_imported_export_answers_as_the_log_did(stack) {
        let mut ids = vec![stack.create(&envelope_entry()).await.0, stack.create(&attested_entry()).await.0];
        fill(stack, 300).await;
        ids.push(stack.create(&unique_hashedrekord()).await.0);
        let expected = served(stack, &ids).await;
        assert!(expected[1]["attestation"].is_object());
        let tree = LogId(i64::from_str_radix(&ids[0][..16], 16).unwrap());
        let root = stack.store.head(tree).await.unwrap().root;
        let target = tempfile::tempdir().unwrap();
        export(stack, target.path()).await;
        let key = key(stack).await;

        let (store, _keep) = empty_store(stack).await;
        let imported = import::from_archive(&store, target.path(), Some(&key)).await.unwrap();
        assert_eq!((imported.size, imported.before, imported.first_index), (303, 0, Some(0)));
        assert_eq!(store.head(tree).await.unwrap().root, root);
        assert_eq!(store.logs().await.unwrap()[0].state, LogState::Frozen);
        let report = fsck::run(&store, &fsck::Options::default()).await.unwrap();
        assert!(report.ok, "{report:?}");
        let again = import::from_archive(&store, target.path(), Some(&key)).await.unwrap();
        assert_eq!((again.size, again.before), (303, 303));

        // The log grows where it comes from, and so does the copy.
        ids.push(stack.create(&unique_hashedrekord()).await.0);
        let mut expected = expected;
        expected.push(served(stack, &ids[3..]).await.remove(0));
        export(stack, target.path()).await;
        let more = import::from_archive(&store, target.path(), Some(&key)).await.unwrap();
        assert_eq!((more.size, more.before), (304, 303));

        serve_copy(stack, store, &imported.public_key).await;
        assert_eq!(served(stack, &ids).await, expected);
        // A statement's subject is found, although its text is stored nowhere.
        assert_eq!(stack.search(json!({"hash": "0".repeat(64)})).await, [ids[0].clone()]);
        let proof: Value = stack
            .get(&format!("/api/v1/log/proof?firstSize=3&lastSize=304&treeID={tree}"))
            .await.json().await.unwrap();
        assert!(proof["hashes"].as_array().unwrap().len() > 3);
        // The next shard goes on where it ends.
        let (_, entry) = stack.create(&unique_hashedrekord()).await;
        assert_eq!(entry["logIndex"], 304);
    }

    async fn a_damaged_or_foreign_export_is_not_imported(stack) {
        fill(stack, 300).await;
        let target = tempfile::tempdir().unwrap();
        export(stack, target.path()).await;
        let (store, _keep) = empty_store(stack).await;
        let path = target.path().join("tile/entries/000");
        let intact = std::fs::read(&path).unwrap();
        let mut flipped = intact.clone();
        flipped[300] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        let refused = import::from_archive(&store, target.path(), None).await;
        assert!(matches!(refused, Err(ImportError::Damaged { .. })), "{refused:?}");
        assert_eq!(store.logs().await.unwrap(), []);
        std::fs::write(&path, intact).unwrap();
        // Into the log itself, which takes entries.
        let refused = import::from_archive(&stack.store, target.path(), None).await.unwrap_err();
        assert!(refused.to_string().contains("freeze it"), "{refused}");
        // A log of the same id with another key.
        let mut record = stack.store.logs().await.unwrap().remove(0);
        record.public_key = b"another".to_vec();
        store.create_log(&record).await.unwrap();
        let refused = import::from_archive(&store, target.path(), None).await.unwrap_err();
        assert!(refused.to_string().contains("another log"), "{refused}");
    }

    async fn a_log_is_imported_over_its_api(stack) {
        let mut ids = vec![stack.create(&envelope_entry()).await.0, stack.create(&attested_entry()).await.0];
        fill(stack, 40).await;
        ids.push(stack.create(&unique_hashedrekord()).await.0);
        let expected = served(stack, &ids).await;
        let key = key(stack).await;
        let (store, _keep) = empty_store(stack).await;
        let base = stack.base.clone();
        let remote = Remote::open(&base, None, Some(&key), 3).await.unwrap();
        let imported = remote.import(&store).await.unwrap();
        assert_eq!((imported.size, imported.before, imported.first_index), (43, 0, Some(0)));
        let report = fsck::run(&store, &fsck::Options::default()).await.unwrap();
        assert!(report.ok, "{report:?}");
        // Later, it adds what is new.
        fill(stack, 5).await;
        let remote = Remote::open(&format!("{base}/"), None, None, 1).await.unwrap();
        let more = remote.import(&store).await.unwrap();
        assert_eq!((more.size, more.before), (48, 43));

        let refused = Remote::open(&base, Some(7), None, 1).await.unwrap_err().to_string();
        assert!(refused.contains("it has "), "{refused}");
        let refused = Remote::open(&base, None, Some(b"another"), 1).await.unwrap_err().to_string();
        assert!(refused.contains("another key"), "{refused}");

        serve_copy(stack, store, &imported.public_key).await;
        let entries = served(stack, &ids).await;
        for (entry, expected) in entries.iter().zip(&expected) {
            assert_eq!(entry["body"], expected["body"]);
            for member in ["integratedTime", "logID", "logIndex", "attestation"] {
                assert_eq!(entry[member], expected[member], "{member}");
            }
        }
        // Found by what its body says: digests and keys, not by a statement that nobody has.
        let digest = |id: &str| {
            let body = crate::stack::decode(expected[ids.iter().position(|known| known == id).unwrap()]["body"].as_str().unwrap());
            let body: Value = serde_json::from_slice(&body).unwrap();
            body["spec"]["data"]["hash"]["value"].clone()
        };
        assert_eq!(stack.search(json!({"hash": digest(&ids[2])})).await, [ids[2].clone()]);
    }

    async fn the_second_shard_of_a_log_keeps_its_numbers(stack) {
        fill(stack, 3).await;
        let first = LogId(stack.store.logs().await.unwrap()[0].id.0);
        stack.store.set_state(first, LogState::Frozen).await.unwrap();
        stack.new_key("second.key");
        let two = "[{kind: rekor-v1, key: 'file:DIR/log.key'}, {kind: rekor-v1, key: 'file:DIR/second.key'}]";
        stack.restart_with(stack.config(two, "")).await;
        let (id, entry) = stack.create(&unique_hashedrekord()).await;
        assert_eq!(entry["logIndex"], 3);
        let (store, _keep) = empty_store(stack).await;
        let base = stack.base.clone();
        let second = Remote::open(&base, None, None, 2).await.unwrap().import(&store).await.unwrap();
        assert_eq!(second.first_index, Some(3));

        // Alone, its entries would get other numbers than were promised.
        let pem = stack.directory.path().join("second.pem");
        std::fs::write(&pem, &second.public_key).unwrap();
        let alone = stack.config("[{kind: rekor-v1, key: 'public:DIR/second.pem'}]", "");
        let refused = rekor_rs::Service::open(alone, store.clone(), clock::SystemClock::shared()).await;
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains("the number 3"), "{refused}");
        let earlier = Remote::open(&base, Some(first.0), None, 2).await.unwrap();
        let earlier = earlier.import(&store).await.unwrap();
        std::fs::write(stack.directory.path().join("first.pem"), &earlier.public_key).unwrap();
        let both = "[{kind: rekor-v1, key: 'public:DIR/first.pem'}, {kind: rekor-v1, key: 'public:DIR/second.pem'}]";
        let config = stack.config(both, "");
        let config = rekor_rs::Config { guard_dir: stack.directory.path().join("others"), ..config };
        stack.store = store;
        stack.restart_with(config).await;
        let read = stack.get("/api/v1/log/entries?logIndex=3").await.text().await.unwrap();
        assert_eq!(stack.check(&read).await.0, id);
        assert_eq!(stack.submit(&unique_hashedrekord()).await.status(), 503);
    }

    /// Its very first entry has no promise to tell by.
    async fn a_shard_that_began_with_a_rotation_keeps_its_numbers(stack) {
        fill(stack, 3).await;
        stack.new_key("second.key");
        let two = "[{kind: rekor-v1, key: 'file:DIR/log.key'}, {kind: rekor-v1, key: 'file:DIR/second.key'}]";
        stack.restart_with(stack.config(two, "")).await;
        let clock = clock::SystemClock::shared();
        let rotation = rekor_rs::Rotation::plan(&stack.config(two, ""), &stack.store, &clock).await.unwrap();
        rotation.perform(&stack.store).await.unwrap();
        let (_, entry) = stack.create(&unique_hashedrekord()).await;
        assert_eq!(entry["logIndex"], 4);
        let second = stack.store.logs().await.unwrap().remove(1);
        stack.store.set_state(second.id, LogState::Frozen).await.unwrap();

        let target = tempfile::tempdir().unwrap();
        let options = Options { promises: None };
        archive::export(&stack.store, &second, target.path(), &options).await.unwrap();
        let (store, _keep) = empty_store(stack).await;
        let imported = import::from_archive(&store, target.path(), Some(&second.public_key)).await.unwrap();
        assert_eq!(imported.first_index, Some(3));
        std::fs::write(stack.directory.path().join("second.pem"), &imported.public_key).unwrap();
        let alone = stack.config("[{kind: rekor-v1, key: 'public:DIR/second.pem'}]", "");
        let refused = rekor_rs::Service::open(alone, store.clone(), clock).await;
        let refused = refused.err().unwrap().to_string();
        assert!(refused.contains("the number 3"), "{refused}");
    }

    async fn the_commands_export_verify_and_import(stack) {
        fill(stack, 20).await;
        let directory = stack.directory.path().to_owned();
        let config = directory.join("rekor.yaml");
        let write = |path: &Path, database: &str| {
            let text = format!(
                "hostname: rekor.test\nguard-dir: {dir}/guards\n\
                 logs: [{{kind: rekor-v1, key: 'file:{dir}/log.key'}}]\nserver: {{database: '{database}'}}\n",
                dir = directory.display()
            );
            std::fs::write(path, text).unwrap();
        };
        write(&config, &stack.database);
        let target = directory.join("export");
        let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
        let (code, out, error) = run_command("export", &config, &["--promises", &text(&target)]).await;
        assert_eq!(code, 0, "{error}");
        let id = stack.store.logs().await.unwrap()[0].id.to_string();
        assert!(out.contains("20 entries, 20 of them new") && out.contains(&id), "{out}");

        let pem = directory.join("log.pem");
        std::fs::write(&pem, stack.public_key("").await.to_pem()).unwrap();
        let copy = text(&target.join(&id));
        let verify = || async {
            let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_rekor-rs"))
                .args(["verify-export", "--json", "--public-key", &text(&pem), &copy])
                .output().await.unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let (code, out) = verify().await;
        assert_eq!(code, Some(0), "{out}");
        let report: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&report["size"], &report["findings"]["count"]), (&json!(20), &json!(0)));

        let other = directory.join("other.yaml");
        write(&other, &format!("sqlite:{}", directory.join("other.db").display()));
        let (code, out, error) = run_command("import", &other, &["--public-key", &text(&pem), &copy]).await;
        assert_eq!(code, 0, "{error}");
        assert!(out.contains("20 entries") && out.contains("BEGIN PUBLIC KEY"), "{out}");
        let (code, out, error) = run_command("import", &other, &["--json", "--from", &stack.base]).await;
        assert_eq!(code, 0, "{error}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["before"], 20);
        let (code, out, error) = run_command("fsck", &other, &[]).await;
        assert_eq!(code, 0, "{out}{error}");
        let (code, _, _) = run_command("import", &other, &[]).await;
        assert_eq!(code, 2, "a source is needed");

        std::fs::write(Path::new(&copy).join("tile/entries/000.p/20"), "short").unwrap();
        let (code, out) = verify().await;
        assert_eq!(code, Some(1), "{out}");
        let (code, _, error) = run_command("import", &other, &[&copy]).await;
        assert_eq!(code, 1);
        assert!(error.contains("the export is damaged"), "{error}");
    }
}
