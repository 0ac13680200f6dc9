//! States of a repository, and what a client must make of them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use keys::{Algorithm, FileSigner, Signer as _};

use super::*;
use crate::metadata::{
    Expires, Hashes, Key, KeyId, MetaFile, RoleKeys, Roles, RootType, SnapshotMeta, SnapshotType,
    SpecVersion, TargetInfo, TargetsType, TimestampMeta, TimestampType,
};

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

/// Some keys, made once.
static KEYS: LazyLock<Vec<FileSigner>> = LazyLock::new(|| {
    (0..8)
        .map(|_| FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap())
        .collect()
});

/// Places of the roles' usual keys in [`KEYS`].
const ROOT: usize = 0;
const TARGETS: usize = 1;
const SNAPSHOT: usize = 2;
const TIMESTAMP: usize = 3;

fn key(index: usize) -> Key {
    Key::new(KEYS[index].public_key().clone()).unwrap()
}

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn in_days(days: i64) -> Expires {
    Expires::at_secs(NOW.checked_add_signed(days * DAY as i64).unwrap()).unwrap()
}

async fn signed<T: Metadata>(content: T, signers: &[usize]) -> Document<T> {
    let mut document = Document::unsigned(content);
    let payload = document.payload().unwrap();
    for signer in signers {
        let signature = KEYS[*signer].sign(&payload).await.unwrap();
        document.add_signature(&key(*signer), signature).unwrap();
    }
    document
}

/// Keys and threshold of each role.
#[derive(Clone)]
struct Authorities {
    root: (Vec<usize>, u32),
    targets: (Vec<usize>, u32),
    snapshot: (Vec<usize>, u32),
    timestamp: (Vec<usize>, u32),
}

impl Default for Authorities {
    fn default() -> Self {
        let one = |key| (vec![key], 1);
        Self {
            root: one(ROOT),
            targets: one(TARGETS),
            snapshot: one(SNAPSHOT),
            timestamp: one(TIMESTAMP),
        }
    }
}

fn root(number: u64, authorities: &Authorities, expires: Expires) -> Root {
    let role = |(keys, threshold): &(Vec<usize>, u32)| RoleKeys {
        keyids: keys.iter().map(|k| key(*k).id()).collect(),
        threshold: *threshold,
    };
    let Authorities {
        root,
        targets,
        snapshot,
        timestamp,
    } = authorities;
    let used = [root, targets, snapshot, timestamp]
        .into_iter()
        .flat_map(|(keys, _)| keys.iter().map(|k| key(*k)));
    Root {
        kind: RootType::Root,
        consistent_snapshot: true,
        expires,
        keys: used.map(|k| (k.id(), k)).collect::<BTreeMap<KeyId, Key>>(),
        roles: Roles {
            root: role(root),
            snapshot: role(snapshot),
            targets: role(targets),
            timestamp: role(timestamp),
        },
        spec_version: SpecVersion::V1_0_31,
        version: version(number),
    }
}

/// A published tree, in memory.
#[derive(Clone, Default)]
struct Tree {
    files: BTreeMap<String, Vec<u8>>,
    first: Option<Document<Root>>,
}

impl Source for Tree {
    async fn get(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, SourceError> {
        match self.files.get(path) {
            Some(bytes) if bytes.len() as u64 > limit => Err(SourceError {
                path: path.to_owned(),
                reason: "too long".to_owned(),
            }),
            other => Ok(other.cloned()),
        }
    }
}

impl Tree {
    /// Version 1 of everything, with one target.
    async fn new() -> Self {
        let mut tree = Self::default();
        tree.root(1, &Authorities::default(), in_days(365), &[ROOT])
            .await;
        tree.content(1, &[TARGETS], &[SNAPSHOT], &[TIMESTAMP]).await;
        tree
    }

    async fn root(
        &mut self,
        number: u64,
        authorities: &Authorities,
        expires: Expires,
        signers: &[usize],
    ) {
        let document = signed(root(number, authorities, expires), signers).await;
        self.put(&document);
        self.first.get_or_insert(document);
    }

    /// One version of targets, snapshot and timestamp.
    async fn content(
        &mut self,
        number: u64,
        targets: &[usize],
        snapshot: &[usize],
        timestamp: &[usize],
    ) {
        self.targets(number, in_days(365), targets).await;
        self.snapshot(number, in_days(365), snapshot).await;
        self.timestamp(number, in_days(7), timestamp).await;
    }

    async fn targets(&mut self, number: u64, expires: Expires, signers: &[usize]) {
        let content = format!("content {number}").into_bytes();
        let info = TargetInfo {
            custom: None,
            hashes: Hashes {
                sha256: Sha256::of(&content),
            },
            length: content.len() as u64,
        };
        self.files
            .insert(format!("targets/{}.file", info.hashes.sha256), content);
        let targets = Targets {
            kind: TargetsType::Targets,
            expires,
            spec_version: SpecVersion::V1_0_31,
            targets: BTreeMap::from([("file".parse().unwrap(), info)]),
            version: version(number),
        };
        self.put(&signed(targets, signers).await);
    }

    async fn snapshot(&mut self, number: u64, expires: Expires, signers: &[usize]) {
        let snapshot = Snapshot {
            kind: SnapshotType::Snapshot,
            expires,
            meta: SnapshotMeta {
                targets: MetaFile {
                    version: version(number),
                },
            },
            spec_version: SpecVersion::V1_0_31,
            version: version(number),
        };
        self.put(&signed(snapshot, signers).await);
    }

    async fn timestamp(&mut self, number: u64, expires: Expires, signers: &[usize]) {
        let timestamp = Timestamp {
            kind: TimestampType::Timestamp,
            expires,
            meta: TimestampMeta {
                snapshot: MetaFile {
                    version: version(number),
                },
            },
            spec_version: SpecVersion::V1_0_31,
            version: version(number),
        };
        self.put(&signed(timestamp, signers).await);
    }

    fn put<T: Metadata>(&mut self, document: &Document<T>) {
        self.files
            .insert(document.signed().file_name(), document.to_json().unwrap());
    }

    fn target_path(&self) -> String {
        self.files
            .keys()
            .find(|path| path.starts_with("targets/"))
            .unwrap()
            .clone()
    }

    async fn update(&self, cached: Option<&Trusted>) -> Result<Trusted, UpdateError> {
        let bootstrap = cached.map_or_else(|| self.first.clone().unwrap(), |c| c.root.clone());
        update(self, &bootstrap, cached, Expiry::At(NOW)).await
    }

    async fn download(&self) -> Result<Vec<u8>, UpdateError> {
        let trusted = self.update(None).await?;
        target(self, &trusted, &"file".parse().unwrap()).await
    }

    async fn refused(&self) -> String {
        self.download().await.unwrap_err().to_string()
    }
}

fn saying(error: String, words: &str) {
    assert!(error.contains(words), "wanted {words:?}, got {error:?}");
}

#[tokio::test]
async fn a_sound_repository_is_accepted() {
    assert_eq!(Tree::new().await.download().await.unwrap(), b"content 1");
}

#[tokio::test]
async fn too_few_signatures_are_refused() {
    let mut tree = Tree::new().await;
    let authorities = Authorities {
        targets: (vec![1, 4, 5], 2),
        ..Authorities::default()
    };
    tree.root(2, &authorities, in_days(365), &[ROOT]).await;
    saying(tree.refused().await, "1 of 2");
    tree.targets(1, in_days(365), &[1, 5]).await;
    tree.download().await.unwrap();

    // A signature of a key that is not in the role does not count, and does not hurt.
    tree.targets(1, in_days(365), &[1, 6]).await;
    saying(tree.refused().await, "1 of 2");
    tree.targets(1, in_days(365), &[1, 4, 6]).await;
    tree.download().await.unwrap();
}

#[tokio::test]
async fn a_role_signed_by_a_foreign_key_is_refused() {
    for role in [TARGETS, SNAPSHOT, TIMESTAMP] {
        let mut tree = Tree::new().await;
        let signer = |own: usize| vec![if own == role { 7 } else { own }];
        tree.content(1, &signer(TARGETS), &signer(SNAPSHOT), &signer(TIMESTAMP))
            .await;
        saying(tree.refused().await, "0 of 1");
    }
}

#[tokio::test]
async fn expired_metadata_is_refused_whichever_role_it_is() {
    let mut tree = Tree::new().await;
    tree.timestamp(1, in_days(-1), &[TIMESTAMP]).await;
    saying(tree.refused().await, "timestamp version 1 expired");

    let mut tree = Tree::new().await;
    tree.snapshot(1, in_days(0), &[SNAPSHOT]).await;
    saying(tree.refused().await, "snapshot version 1 expired");

    let mut tree = Tree::new().await;
    tree.targets(1, in_days(-1), &[TARGETS]).await;
    saying(tree.refused().await, "targets version 1 expired");

    let mut tree = Tree::new().await;
    tree.root(2, &Authorities::default(), in_days(-1), &[ROOT])
        .await;
    saying(tree.refused().await, "root version 2 expired");
}

#[tokio::test]
async fn expired_roots_still_lead_to_a_valid_one() {
    let mut tree = Tree::default();
    for (number, days) in [(1, -900), (2, -500), (3, 100)] {
        tree.root(number, &Authorities::default(), in_days(days), &[ROOT])
            .await;
    }
    tree.content(1, &[TARGETS], &[SNAPSHOT], &[TIMESTAMP]).await;
    assert_eq!(
        tree.update(None).await.unwrap().root.signed().version,
        version(3)
    );
}

#[tokio::test]
async fn changed_missing_or_unlisted_target_files_are_refused() {
    let good = Tree::new().await;
    let path = good.target_path();
    for (change, words) in [
        (Some(b"content 2".to_vec()), "length and hash"),
        (Some(b"content 1 and more".to_vec()), "length and hash"),
        (None, "missing"),
    ] {
        let mut tree = good.clone();
        match change {
            Some(bytes) => drop(tree.files.insert(path.clone(), bytes)),
            None => drop(tree.files.remove(&path)),
        }
        saying(tree.refused().await, words);
    }
    let trusted = good.update(None).await.unwrap();
    let unlisted = target(&good, &trusted, &"other".parse().unwrap()).await;
    saying(unlisted.unwrap_err().to_string(), "missing");
}

#[tokio::test]
async fn mixed_or_half_published_versions_are_refused() {
    let mut published = Tree::new().await;
    published
        .content(2, &[TARGETS], &[SNAPSHOT], &[TIMESTAMP])
        .await;

    let mut tree = published.clone();
    tree.files.remove("2.snapshot.json");
    saying(tree.refused().await, "2.snapshot.json is missing");

    let mut tree = published.clone();
    tree.files.insert(
        "2.snapshot.json".to_owned(),
        tree.files["1.snapshot.json"].clone(),
    );
    saying(tree.refused().await, "holds version 1 instead of 2");

    let mut tree = published.clone();
    tree.files.insert(
        "2.targets.json".to_owned(),
        tree.files["1.targets.json"].clone(),
    );
    saying(tree.refused().await, "holds version 1 instead of 2");

    // All but the timestamp published: clients see the old state.
    let mut tree = published.clone();
    tree.timestamp(1, in_days(7), &[TIMESTAMP]).await;
    assert_eq!(
        tree.update(None).await.unwrap().targets.signed().version,
        version(1)
    );
}

#[tokio::test]
async fn a_root_needs_the_old_and_the_new_quorum() {
    let replaced = Authorities {
        root: (vec![4, 5], 2),
        ..Authorities::default()
    };
    for (signers, accepted) in [
        (vec![0, 4, 5], true),
        (vec![4, 5], false),
        (vec![0], false),
        (vec![0, 4], false),
    ] {
        let mut tree = Tree::new().await;
        tree.root(2, &replaced, in_days(365), &signers).await;
        assert_eq!(
            tree.update(None).await.is_ok(),
            accepted,
            "signed by {signers:?}"
        );
    }
}

#[tokio::test]
async fn a_chain_of_roots_is_followed_one_key_at_a_time() {
    let mut tree = Tree::default();
    let with = |key| Authorities {
        root: (vec![key], 1),
        ..Authorities::default()
    };
    tree.root(1, &with(0), in_days(365), &[0]).await;
    for (number, old, new) in [(2, 0, 4), (3, 4, 5), (4, 5, 6), (5, 6, 7)] {
        tree.root(number, &with(new), in_days(365), &[old, new])
            .await;
    }
    tree.content(1, &[TARGETS], &[SNAPSHOT], &[TIMESTAMP]).await;
    assert_eq!(
        tree.update(None).await.unwrap().root.signed().version,
        version(5)
    );

    // Without the second one, clients stay on the first.
    tree.files.remove("2.root.json");
    assert_eq!(
        tree.update(None).await.unwrap().root.signed().version,
        version(1)
    );
}

#[tokio::test]
async fn a_root_under_another_number_is_refused() {
    let mut tree = Tree::new().await;
    tree.root(3, &Authorities::default(), in_days(365), &[ROOT])
        .await;
    let three = tree.files.remove("3.root.json").unwrap();
    tree.files.insert("2.root.json".to_owned(), three);
    saying(tree.refused().await, "holds version 3 instead of 2");
    tree.files
        .insert("2.root.json".to_owned(), tree.files["1.root.json"].clone());
    saying(tree.refused().await, "holds version 1 instead of 2");
}

#[tokio::test]
async fn an_online_key_is_rotated_without_a_failing_window() {
    let mut tree = Tree::new().await;
    let before = tree.update(None).await.unwrap();
    let rotated = Authorities {
        timestamp: (vec![6], 1),
        ..Authorities::default()
    };

    let mut abrupt = tree.clone();
    abrupt.root(2, &rotated, in_days(365), &[ROOT]).await;
    saying(abrupt.refused().await, "0 of 1");

    // Signed by both while root is unchanged, then the new root, then by the new key alone. A
    // signature can be added for a key that root does not know yet.
    tree.timestamp(2, in_days(7), &[TIMESTAMP, 6]).await;
    tree.snapshot(2, in_days(365), &[SNAPSHOT]).await;
    tree.targets(2, in_days(365), &[TARGETS]).await;
    let warm = tree.update(Some(&before)).await.unwrap();
    tree.root(2, &rotated, in_days(365), &[ROOT]).await;
    tree.update(Some(&warm)).await.unwrap();
    tree.content(3, &[TARGETS], &[SNAPSHOT], &[6]).await;
    tree.update(Some(&warm)).await.unwrap();
    tree.update(None).await.unwrap();
}

#[tokio::test]
async fn two_online_keys_may_each_sign_alone() {
    let mut tree = Tree::new().await;
    let either = Authorities {
        timestamp: (vec![TIMESTAMP, 6], 1),
        ..Authorities::default()
    };
    tree.root(2, &either, in_days(365), &[ROOT]).await;
    for signer in [TIMESTAMP, 6] {
        tree.timestamp(1, in_days(7), &[signer]).await;
        tree.update(None).await.unwrap();
    }
}

#[tokio::test]
async fn versions_that_go_back_are_refused_by_a_client_that_has_seen_newer_ones() {
    let mut tree = Tree::new().await;
    let old = tree.clone();
    tree.content(3, &[TARGETS], &[SNAPSHOT], &[TIMESTAMP]).await;
    let warm = tree.update(None).await.unwrap();
    saying(
        old.update(Some(&warm)).await.unwrap_err().to_string(),
        "timestamp went back from version 3 to 1",
    );

    // A newer timestamp that names an older snapshot.
    let mut mixed = tree.clone();
    mixed.files.insert("timestamp.json".to_owned(), {
        let timestamp = Timestamp {
            kind: TimestampType::Timestamp,
            expires: in_days(7),
            meta: TimestampMeta {
                snapshot: MetaFile {
                    version: version(1),
                },
            },
            spec_version: SpecVersion::V1_0_31,
            version: version(4),
        };
        signed(timestamp, &[TIMESTAMP]).await.to_json().unwrap()
    });
    saying(
        mixed.update(Some(&warm)).await.unwrap_err().to_string(),
        "snapshot went back",
    );
}

#[tokio::test]
async fn a_root_outside_the_profile_is_refused() {
    let shared = Authorities {
        timestamp: (vec![ROOT], 1),
        ..Authorities::default()
    };
    let unreachable = Authorities {
        targets: (vec![TARGETS], 2),
        ..Authorities::default()
    };
    let twice = Authorities {
        root: (vec![ROOT, ROOT], 1),
        ..Authorities::default()
    };
    for (authorities, words) in [
        (shared, "different keys for offline and online"),
        (unreachable, "threshold"),
        (twice, "twice"),
    ] {
        let mut tree = Tree::new().await;
        tree.root(2, &authorities, in_days(365), &[ROOT]).await;
        saying(tree.refused().await, words);
    }
}
