//! A process that dies while it writes.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Storage of a process that dies at its `limit`-th operation, in the middle of it.
#[derive(Debug)]
struct Dying {
    limit: usize,
    operations: AtomicUsize,
}

impl Dying {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            operations: AtomicUsize::new(0),
        })
    }

    fn alive(&self) -> io::Result<()> {
        match self.operations.fetch_add(1, Ordering::Relaxed) < self.limit {
            true => Ok(()),
            false => Err(io::Error::other("the process died")),
        }
    }
}

impl Storage for Dying {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if let Err(dead) = self.alive() {
            std::fs::write(path, &bytes[..bytes.len() / 2])?;
            return Err(dead);
        }
        Disk.write(path, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.alive()?;
        Disk.rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.alive()?;
        Disk.sync_dir(dir)
    }
}

#[tokio::test]
async fn a_crash_at_any_point_leaves_the_old_or_the_new_state() {
    let base = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let shared = || Arc::clone(&clock) as SharedClock;
    let mut policy = Policy::default();
    policy.roles.get_mut(&RoleName::Timestamp).unwrap().expiry = Period::days(365);
    let repository = Repository::init(base.path(), &policy, Some(passphrase()), shared())
        .await
        .unwrap();
    repository.set_targets(files(&[("a", "1")])).await.unwrap();
    let old = client(&repository, None).await.unwrap();
    // Unlocking keys is slow by design: once is enough.
    let mut keyring = Keyring::default();
    // Near enough to the end that root and everything else is signed again; not expired yet.
    clock.advance(300 * DAY);

    let new = || files(&[("a", "2"), ("b", "1")]);
    let (mut limit, mut kept_old, mut became_new) = (0, 0, 0);
    loop {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        let mut dying = Repository::open(dir.path(), Some(passphrase()), shared()).unwrap();
        dying.storage = Dying::new(limit);
        let survived = dying.replace_targets(new(), &mut keyring).await.is_ok();

        for cached in [None, Some(&old)] {
            let seen = client(&dying, cached)
                .await
                .unwrap_or_else(|e| panic!("died at operation {limit}: {e}"));
            match seen.targets.signed().targets.len() {
                1 => kept_old += 1,
                _ => became_new += 1,
            }
        }
        let crashed = client(&dying, None).await.unwrap();

        // The next attempt goes through, and no number means two contents.
        let before = tree(&dying.published_dir());
        let again = Repository::open(dir.path(), Some(passphrase()), shared()).unwrap();
        again
            .replace_targets(new(), &mut keyring)
            .await
            .unwrap_or_else(|e| panic!("after dying at operation {limit}: {e}"));
        let after = client(&again, Some(&crashed)).await.unwrap();
        assert_eq!(after.targets.signed().targets.len(), 2);
        assert_eq!(after.root.signed().version.get(), 2);
        for (path, bytes) in before {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let replaceable =
                name.starts_with(".tmp-") || name == "timestamp.json" || name == "root.json";
            assert!(
                replaceable || std::fs::read(&path).unwrap() == bytes,
                "{name} changed"
            );
        }
        if survived {
            break;
        }
        limit += 1;
    }
    assert!(
        kept_old > 20 && became_new >= 2,
        "{kept_old} old, {became_new} new, {limit} operations"
    );
}

#[tokio::test]
async fn a_crash_while_the_repository_is_made_is_repaired_by_the_next_start() {
    let mut limit = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let mut dying = Repository::new(dir.path(), Some(passphrase()), manual_clock());
        dying.storage = Dying::new(limit);
        let survived = dying
            .create(&Policy::default(), &mut Keyring::default())
            .await
            .is_ok();
        let repository = start(dir.path(), &manual_clock()).await;
        client(&repository, None)
            .await
            .unwrap_or_else(|e| panic!("died at operation {limit}: {e}"));
        if survived {
            break;
        }
        limit += 1;
    }
    assert!(limit >= 4, "{limit}");
}

#[tokio::test]
async fn a_crash_during_the_first_publication_is_repaired_by_the_next_one() {
    let base = tempfile::tempdir().unwrap();
    let made = Repository::init(
        base.path(),
        &Policy::default(),
        Some(passphrase()),
        manual_clock(),
    )
    .await;
    made.unwrap();
    let mut keyring = Keyring::default();
    let mut limit = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        let mut dying = Repository::open(dir.path(), Some(passphrase()), manual_clock()).unwrap();
        dying.storage = Dying::new(limit);
        let survived = dying
            .replace_targets(files(&[("a", "1")]), &mut keyring)
            .await
            .is_ok();
        let again = Repository::open(dir.path(), Some(passphrase()), manual_clock()).unwrap();
        again
            .replace_targets(files(&[("a", "1")]), &mut keyring)
            .await
            .unwrap();
        client(&again, None)
            .await
            .unwrap_or_else(|e| panic!("died at operation {limit}: {e}"));
        if survived {
            break;
        }
        limit += 1;
    }
    assert!(limit > 15, "{limit}");
}

/// Dies at every operation of a rotation, in good order or after a theft, and runs it again.
async fn rotation_with_crashes(revoke: bool) -> usize {
    let (base, clock) = (tempfile::tempdir().unwrap(), manual_clock());
    let shared = || Arc::clone(&clock) as SharedClock;
    let repository = start(base.path(), &clock).await;
    let old = client(&repository, None).await.unwrap();
    let none = BTreeMap::new();
    let (mut limit, mut refused) = (0, 0);
    loop {
        let dir = tempfile::tempdir().unwrap();
        copy(base.path(), dir.path());
        let mut dying = Repository::open(dir.path(), Some(passphrase()), shared()).unwrap();
        dying.storage = Dying::new(limit);
        let done = match revoke {
            true => dying.revoke_online(&none).await,
            false => dying.rotate_online(&none).await,
        };
        let survived = done.is_ok();
        let mut seen = old.clone();
        for cached in [None, Some(&old)] {
            match client(&dying, cached).await {
                Ok(trusted) => seen = trusted,
                Err(client::UpdateError::Signature(_)) if revoke => refused += 1,
                Err(e) => panic!("died at operation {limit}: {e}"),
            }
        }
        let again = Repository::open(dir.path(), Some(passphrase()), shared()).unwrap();
        if !survived {
            let done = match revoke {
                true => again.revoke_online(&none).await,
                false => again.rotate_online(&none).await,
            };
            let done = done.unwrap_or_else(|e| panic!("after dying at operation {limit}: {e}"));
            assert!(matches!(done, Rotation::Done(_)));
        }
        let seen = client(&again, Some(&seen)).await.unwrap();
        // The old keys' signatures go with the next look at what has to be signed.
        clock.advance(GRACE);
        again.refresh().await.unwrap();
        let after = client(&again, Some(&seen)).await.unwrap();
        let (before, now) = (old.root.signed(), after.root.signed());
        assert_ne!(now.roles.timestamp.keyids, before.roles.timestamp.keyids);
        assert_ne!(now.roles.snapshot.keyids, before.roles.snapshot.keyids);
        let signers: Vec<_> = after.timestamp.signers().collect();
        assert_eq!(signers, now.roles.timestamp.keyids);
        assert_eq!(again.publish().await.unwrap(), Outcome::default());
        if survived {
            return refused;
        }
        limit += 3;
    }
}

#[tokio::test]
async fn a_rotation_that_is_cut_off_anywhere_refuses_no_client_and_goes_on() {
    assert_eq!(rotation_with_crashes(false).await, 0);
}

#[tokio::test]
async fn a_revocation_that_is_cut_off_anywhere_goes_on() {
    rotation_with_crashes(true).await;
}
