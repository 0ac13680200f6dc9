//! Bundles from a centre into an enclave: what is taken, and what is refused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clock::{Clock as _, ManualClock, SharedClock};
use crypto::PublicKey;
use keys::{Algorithm, FileSigner, KeyUri, Passphrase, Signer as _};
use tempfile::TempDir;

use super::*;
use crate::client::{self, Directory, Expiry, Trusted};
use crate::metadata::{Document, RoleName, Root, Sha256};
use crate::policy::{Period, Policy};
use crate::{Repository, TargetFile};

const NOW: u64 = 1_767_225_600;
const DAY: Duration = Duration::from_secs(86_400);

type Change<'a> = &'a dyn Fn(&mut BTreeMap<String, Vec<u8>>);

/// A centre, an enclave whose key the centre's root lists, and the key that signs bundles.
struct Sides {
    dir: TempDir,
    clock: Arc<ManualClock>,
    centre: Repository,
    enclave: Enclave,
    signer: FileSigner,
}

fn passphrase() -> Passphrase {
    Passphrase::new("a passphrase for tests")
}

fn note(content: &str) -> TargetFile {
    TargetFile {
        name: "note.txt".parse().unwrap(),
        content: content.as_bytes().to_vec(),
        custom: None,
    }
}

fn own(role: RoleName) -> KeyUri {
    KeyUri::file(format!("keys/{role}.pem"))
}

impl Sides {
    async fn new() -> Self {
        Self::listed(true).await
    }

    async fn listed(listed: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at_ms(NOW * 1000));
        let shared = Arc::clone(&clock) as SharedClock;
        let online = dir.path().join("online.pem");
        keys::create(
            &KeyUri::file(&online),
            Algorithm::EcdsaP256Sha256,
            Some(&passphrase()),
        )
        .await
        .unwrap();
        let mut policy = Policy::default();
        for role in [RoleName::Snapshot, RoleName::Timestamp] {
            let mut uris = vec![own(role)];
            if listed {
                uris.push(KeyUri::file(&online));
            }
            policy.roles.get_mut(&role).unwrap().keys = uris;
        }
        let at = dir.path().join("centre");
        let made = Repository::init(&at, &policy, Some(passphrase()), Arc::clone(&shared));
        let centre = made.await.unwrap();
        centre.set_targets(vec![note("first")]).await.unwrap();
        let setup = Setup {
            first_root: Sha256::of(&std::fs::read(centre.first_root_json()).unwrap()),
            key: KeyUri::file(&online),
            owner: "enclave".into(),
            timestamp_expiry: Period::days(30),
            snapshot_expiry: Period::days(365),
        };
        let at = dir.path().join("enclave");
        let made = Enclave::init(&at, &setup, Some(passphrase()), shared).await;
        Self {
            clock,
            centre,
            enclave: made.unwrap().0,
            signer: FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap(),
            dir,
        }
    }

    fn key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    fn now(&self) -> Expiry {
        Expiry::At(self.clock.now_secs())
    }

    fn first(&self) -> Document<Root> {
        Document::parse(&std::fs::read(self.centre.first_root_json()).unwrap()).unwrap()
    }

    async fn read(&self) -> Bundle {
        let path = self.centre.published_dir();
        Bundle::read(&Directory { path }, &self.first(), self.now())
            .await
            .unwrap()
    }

    async fn bundle(&self) -> Vec<u8> {
        self.read().await.pack(&self.signer).await.unwrap()
    }

    /// A bundle whose files were changed before it was signed with the right key.
    async fn forged(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> Vec<u8> {
        let mut bundle = self.read().await;
        change(&mut bundle.tree.files);
        bundle.pack(&self.signer).await.unwrap()
    }

    async fn apply(&self, bundle: &[u8]) -> Result<Applied, EnclaveError> {
        self.enclave
            .apply(bundle, self.key(), Period::days(7))
            .await
    }

    /// What a client of the enclave trusts.
    async fn client(&self, cached: Option<&Trusted>) -> Result<Trusted, client::UpdateError> {
        let source = Directory {
            path: self.enclave.published_dir(),
        };
        let trusted = client::update(&source, &self.first(), cached, self.now()).await?;
        let name = "note.txt".parse().unwrap();
        client::target(&source, &trusted, &name).await?;
        Ok(trusted)
    }

    /// Every file of the enclave, links as what they point to.
    fn state(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut open = vec![self.dir.path().join("enclave")];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                match path.is_symlink() || path.is_file() {
                    true if path.is_symlink() => {
                        let to = std::fs::read_link(&path).unwrap();
                        files.insert(path, to.to_string_lossy().as_bytes().to_vec());
                    }
                    true => {
                        files.insert(path.clone(), std::fs::read(path).unwrap());
                    }
                    false => open.push(path),
                }
            }
        }
        // Its name stays when it is released; it holds nothing.
        files.remove(&self.dir.path().join("enclave/lock"));
        files
    }

    /// It is refused in these words, and nothing changes.
    async fn refuses(&self, bundle: &[u8], words: &str) {
        let before = self.state();
        let error = self.apply(bundle).await.unwrap_err().to_string();
        assert!(error.contains(words), "wanted {words:?}, got {error:?}");
        assert!(self.state() == before, "{error}");
    }
}

fn versions(applied: &Applied) -> [u64; 4] {
    RoleName::ALL.map(|role| applied.published.get(&role).map_or(0, |v| v.get()))
}

#[tokio::test]
async fn clients_of_the_enclave_follow_the_centre_through_bundles() {
    let sides = Sides::new().await;
    assert!(matches!(
        sides.enclave.refresh().await,
        Err(EnclaveError::Empty)
    ));
    let first = sides.apply(&sides.bundle().await).await.unwrap();
    assert_eq!(versions(&first), [1, 1, 1, 1]);
    let warm = sides.client(None).await.unwrap();
    assert!(sides.enclave.published_dir().join("root.json").exists());
    assert!(sides.dir.path().join("enclave/roots/1.root.json").exists());

    // The same bundle again is nothing new; a refresh at the centre alone gives a new one.
    assert_eq!(
        sides.apply(&sides.bundle().await).await.unwrap(),
        Applied::default()
    );
    sides.clock.advance(2 * DAY);
    sides
        .centre
        .set_targets(vec![note("second")])
        .await
        .unwrap();
    let second = sides.apply(&sides.bundle().await).await.unwrap();
    assert_eq!(versions(&second), [1, 2, 2, 2]);
    let warm = sides.client(Some(&warm)).await.unwrap();
    assert_eq!(warm.targets.signed().version.get(), 2);
    sides.client(None).await.unwrap();
}

#[tokio::test]
async fn the_enclave_stays_alive_by_its_own_key_and_counts_its_own_versions() {
    let sides = Sides::new().await;
    sides.apply(&sides.bundle().await).await.unwrap();
    let mut warm = sides.client(None).await.unwrap();
    for day in 1..=100 {
        sides.clock.advance(DAY);
        let refreshed = sides.enclave.refresh().await.unwrap();
        assert_eq!(versions(&refreshed), [0, 0, 0, 1 + day]);
        warm = sides.client(Some(&warm)).await.unwrap();
    }
    // The centre is far behind in timestamps; that is its own count.
    sides
        .centre
        .set_targets(vec![note("second")])
        .await
        .unwrap();
    let applied = sides.apply(&sides.bundle().await).await.unwrap();
    assert_eq!(versions(&applied), [1, 2, 2, 102]);
    warm = sides.client(Some(&warm)).await.unwrap();
    assert_eq!(warm.targets.signed().version.get(), 2);
    // Snapshots are renewed at half of their life; the end of root and targets is announced.
    sides.clock.advance(183 * DAY);
    let refreshed = sides.enclave.refresh().await.unwrap();
    assert_eq!(versions(&refreshed), [0, 0, 3, 103]);
    assert_eq!(refreshed.warnings, Vec::<String>::new());
    sides.clock.advance(60 * DAY);
    let refreshed = sides.enclave.refresh().await.unwrap();
    assert!(refreshed.warnings[0].contains("bring a new bundle"));
}

#[tokio::test]
async fn new_roots_are_carried_in_and_warm_clients_follow_them() {
    let sides = Sides::new().await;
    sides.apply(&sides.bundle().await).await.unwrap();
    sides.clock.advance(276 * DAY);
    sides.enclave.refresh().await.unwrap();
    let warm = sides.client(None).await.unwrap();
    for _ in 0..2 {
        sides.centre.refresh().await.unwrap();
        sides.clock.advance(276 * DAY);
    }
    sides.centre.refresh().await.unwrap();
    let applied = sides.apply(&sides.bundle().await).await.unwrap();
    assert_eq!(versions(&applied)[0], 4);
    let warm = sides.client(Some(&warm)).await.unwrap();
    assert_eq!(warm.root.signed().version.get(), 4);
    sides.client(None).await.unwrap();
}

#[tokio::test]
async fn older_bundles_are_refused() {
    let sides = Sides::new().await;
    let old = sides.bundle().await;
    sides.clock.advance(2 * DAY);
    sides.centre.refresh().await.unwrap();
    let refreshed = sides.bundle().await;
    sides
        .centre
        .set_targets(vec![note("second")])
        .await
        .unwrap();
    sides.apply(&sides.bundle().await).await.unwrap();
    sides.refuses(&old, "older than what is here").await;
    sides.refuses(&refreshed, "older than what is here").await;
    // Whoever holds a bundle back long enough holds one that has expired.
    let stale = sides.bundle().await;
    sides.clock.advance(8 * DAY);
    sides.refuses(&stale, "expired").await;
}

#[tokio::test]
async fn root_and_targets_must_be_valid_for_a_while() {
    let sides = Sides::new().await;
    sides.clock.advance(6 * DAY);
    let bundle = sides.bundle().await;
    let refused = sides
        .enclave
        .apply(&bundle, sides.key(), Period::days(360))
        .await;
    assert!(matches!(refused, Err(EnclaveError::Short { .. })));
    sides.apply(&bundle).await.unwrap();
}

#[tokio::test]
async fn bundles_of_other_keys_and_other_repositories_are_refused() {
    let sides = Sides::new().await;
    let bundle = sides.bundle().await;
    let other = Sides::new().await;
    let refused = sides
        .enclave
        .apply(&bundle, other.key(), Period::days(7))
        .await;
    assert!(refused.unwrap_err().to_string().contains("not signed by"));
    let foreign = other.read().await.pack(&sides.signer).await.unwrap();
    sides.refuses(&foreign, "another repository").await;
    let unlisted = Sides::listed(false).await;
    unlisted
        .refuses(&unlisted.bundle().await, "does not list the enclave's key")
        .await;
}

#[tokio::test]
async fn an_archive_that_was_touched_is_refused() {
    let sides = Sides::new().await;
    let bundle = sides.bundle().await;
    for cut in [0, 511, 512, 5_000, bundle.len() - 1024, bundle.len() - 1] {
        sides.refuses(&bundle[..cut], "the bundle").await;
    }
    sides
        .refuses(&[&bundle[..], b"more"].concat(), "the bundle is")
        .await;

    let repacked = |change: Change<'_>| {
        let mut files = unpack(&bundle).unwrap();
        change(&mut files);
        pack(&files).unwrap()
    };
    let sums = "checksums do not fit";
    let cases: [(Change<'_>, &str); 6] = [
        (
            &|f| drop(f.insert("repository/9.root.json".into(), vec![])),
            sums,
        ),
        (&|f| drop(f.remove("repository/timestamp.json")), sums),
        (&|f| drop(f.remove("SHA256SUMS.sig")), "no SHA256SUMS.sig"),
        (&|f| drop(f.remove("SHA256SUMS")), "no SHA256SUMS"),
        (&|f| f.get_mut("MANIFEST.json").unwrap().push(b' '), sums),
        (
            &|f| f.get_mut("SHA256SUMS").unwrap().push(b'\n'),
            "not signed by",
        ),
    ];
    for (change, words) in cases {
        sides.refuses(&repacked(change), words).await;
    }
    sides.apply(&bundle).await.unwrap();
}

#[tokio::test]
async fn what_a_careless_centre_signs_is_still_checked() {
    let sides = Sides::new().await;
    let cases: [(Change<'_>, &str); 5] = [
        (
            &|f| drop(f.insert("extra.txt".into(), vec![])),
            "belongs to nothing",
        ),
        (
            &|f| drop(f.insert("2.root.json".into(), b"{}".to_vec())),
            "clients would refuse",
        ),
        (
            &|f| drop(f.insert("root.json".into(), b"{}".to_vec())),
            "belongs to nothing",
        ),
        (
            &|f| drop(f.remove("1.targets.json")),
            "1.targets.json is missing",
        ),
        (
            &|f| {
                let name = f.keys().find(|n| n.ends_with("note.txt")).unwrap().clone();
                f.insert(name, b"other".to_vec());
            },
            "length and hash",
        ),
    ];
    for (change, words) in cases {
        sides.refuses(&sides.forged(change).await, words).await;
    }
}

#[tokio::test]
async fn a_tree_that_was_not_finished_is_never_seen() {
    let sides = Sides::new().await;
    sides.apply(&sides.bundle().await).await.unwrap();
    let warm = sides.client(None).await.unwrap();
    // What a crash leaves: a tree that nothing points to, and a half-made link.
    let dir = sides.dir.path().join("enclave");
    std::fs::create_dir_all(dir.join("trees/2/targets")).unwrap();
    std::fs::write(dir.join("trees/2/timestamp.json"), b"half").unwrap();
    std::os::unix::fs::symlink("trees/2", dir.join(".tmp-published")).unwrap();
    sides.client(Some(&warm)).await.unwrap();
    sides
        .centre
        .set_targets(vec![note("second")])
        .await
        .unwrap();
    sides.apply(&sides.bundle().await).await.unwrap();
    let warm = sides.client(Some(&warm)).await.unwrap();
    assert_eq!(warm.targets.signed().version.get(), 2);
}

#[tokio::test]
async fn one_enclave_per_directory() {
    let sides = Sides::new().await;
    let setup = Setup {
        first_root: Sha256::of(b""),
        key: KeyUri::file("keys/online.pem"),
        owner: "enclave".into(),
        timestamp_expiry: Period::days(30),
        snapshot_expiry: Period::days(365),
    };
    for dir in ["enclave", "centre"] {
        let dir = sides.dir.path().join(dir);
        let again = Enclave::init(
            &dir,
            &setup,
            Some(passphrase()),
            clock::SystemClock::shared(),
        );
        assert!(matches!(
            again.await,
            Err(EnclaveError::AlreadyInitialised(_))
        ));
    }
}
