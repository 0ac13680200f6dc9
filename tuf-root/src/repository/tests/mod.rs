//! The life of a repository: versions, windows, crashes, tampering, several writers.

mod ceremony;
mod crash;

use clock::ManualClock;
use keys::KeyUri;

use super::*;
use crate::client::{self, Directory, Expiry, Trusted};
use crate::metadata::Version;
use crate::policy::Period;

const START_MS: u64 = 1_800_000_000_000;
const DAY: Duration = Duration::from_secs(86_400);
const GRACE: Duration = Duration::from_secs(super::signing::GRACE);

fn passphrase() -> Passphrase {
    Passphrase::new("a passphrase for tests")
}

fn manual_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at_ms(START_MS))
}

fn files(contents: &[(&str, &str)]) -> Vec<TargetFile> {
    let file = |(name, content): &(&str, &str)| TargetFile {
        name: name.parse().unwrap(),
        content: content.as_bytes().to_vec(),
        custom: None,
    };
    contents.iter().map(file).collect()
}

fn versions(outcome: &Outcome) -> Vec<(RoleName, u64)> {
    outcome
        .published
        .iter()
        .map(|(role, version)| (*role, version.get()))
        .collect()
}

async fn start(dir: &Path, clock: &Arc<ManualClock>) -> Repository {
    let clock: SharedClock = Arc::clone(clock) as SharedClock;
    bootstrap(dir, &passphrase(), files(&[("a", "1")]), clock)
        .await
        .unwrap()
}

/// What a client makes of the published tree.
async fn client(
    repository: &Repository,
    cached: Option<&Trusted>,
) -> Result<Trusted, client::UpdateError> {
    let first = std::fs::read(repository.first_root_json()).unwrap();
    let bootstrap = cached.map_or_else(|| Document::parse(&first).unwrap(), |c| c.root.clone());
    let source = Directory {
        path: repository.published_dir(),
    };
    let trusted = client::update(
        &source,
        &bootstrap,
        cached,
        Expiry::At(repository.clock.now_secs()),
    )
    .await?;
    for name in trusted.targets.signed().targets.keys() {
        client::target(&source, &trusted, name).await?;
    }
    Ok(trusted)
}

/// Every file under a directory, by path.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => out.extend(tree(&path)),
            false => drop(out.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    out
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in tree(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, bytes).unwrap();
    }
}

#[tokio::test]
async fn a_new_repository_is_published_at_version_one_and_left_alone_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let repository = start(dir.path(), &clock).await;
    let trusted = client(&repository, None).await.unwrap();
    assert_eq!(trusted.timestamp.signed().version, Version::FIRST);
    assert_eq!(
        std::fs::read(repository.root_json()).unwrap(),
        std::fs::read(repository.first_root_json()).unwrap()
    );

    let before = tree(dir.path());
    // Nothing is due, so no key is opened: a wrong passphrase goes unnoticed.
    let clock = Arc::clone(&clock) as SharedClock;
    let again = Repository::open(dir.path(), Some(Passphrase::new("wrong")), clock).unwrap();
    assert_eq!(
        again.set_targets(files(&[("a", "1")])).await.unwrap(),
        Outcome::default()
    );
    assert_eq!(again.refresh().await.unwrap(), Outcome::default());
    assert_eq!(tree(dir.path()), before);
}

#[tokio::test]
async fn changed_targets_make_a_new_version_and_old_files_stay() {
    let dir = tempfile::tempdir().unwrap();
    let repository = start(dir.path(), &manual_clock()).await;
    let old = client(&repository, None).await.unwrap();
    let before = tree(&repository.published_dir());

    let outcome = repository
        .set_targets(files(&[("a", "2"), ("b", "1")]))
        .await
        .unwrap();
    let two = [
        (RoleName::Targets, 2),
        (RoleName::Snapshot, 2),
        (RoleName::Timestamp, 2),
    ];
    assert_eq!(versions(&outcome), two);
    let warm = client(&repository, Some(&old)).await.unwrap();
    assert_eq!(warm.targets.signed().targets.len(), 2);
    let after = tree(&repository.published_dir());
    for (path, bytes) in before
        .iter()
        .filter(|(path, _)| !path.ends_with("timestamp.json"))
    {
        assert_eq!(after.get(path), Some(bytes), "{}", path.display());
    }

    // Custom metadata alone is a change too.
    let mut marked = files(&[("a", "2"), ("b", "1")]);
    marked[0].custom = Some(Custom {
        sigstore: crate::metadata::SigstoreCustom {
            status: crate::metadata::Status::Active,
            uri: None,
            usage: crate::metadata::Usage::Rekor,
        },
    });
    assert_eq!(
        versions(&repository.set_targets(marked).await.unwrap()).len(),
        3
    );
}

#[tokio::test]
async fn staged_files_wait_for_the_next_publication() {
    let dir = tempfile::tempdir().unwrap();
    let repository = start(dir.path(), &manual_clock()).await;
    let [added] = <[TargetFile; 1]>::try_from(files(&[("b", "1")])).unwrap();
    let (a, b): (TargetName, TargetName) = ("a".parse().unwrap(), "b".parse().unwrap());
    repository.stage_target(added).await.unwrap();
    repository.unstage_target(&a).await.unwrap();
    assert!(matches!(
        repository.unstage_target(&a).await,
        Err(RepositoryError::NoTarget(_))
    ));

    // A refresh does not publish what somebody has only staged.
    assert_eq!(repository.refresh().await.unwrap(), Outcome::default());
    let status = repository.status().await.unwrap();
    assert_eq!(status.targets, std::slice::from_ref(&a));
    assert_eq!(
        status.unpublished.into_iter().collect::<Vec<_>>(),
        [a, b.clone()]
    );

    repository.publish().await.unwrap();
    let status = repository.status().await.unwrap();
    assert_eq!((status.targets, status.unpublished.len()), (vec![b], 0));
}

#[tokio::test]
async fn roles_are_signed_again_within_their_windows() {
    let dir = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let repository = start(dir.path(), &clock).await;
    let first = client(&repository, None).await.unwrap();

    clock.advance(DAY - Duration::from_secs(1));
    assert_eq!(repository.refresh().await.unwrap(), Outcome::default());
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        versions(&repository.refresh().await.unwrap()),
        [(RoleName::Timestamp, 2)]
    );
    assert_eq!(repository.refresh().await.unwrap(), Outcome::default());

    // 275 days after the start: 90 are left of the yearly roles.
    clock.advance(274 * DAY);
    let due: Vec<RoleName> = repository
        .status()
        .await
        .unwrap()
        .roles
        .into_iter()
        .filter(|r| r.due)
        .map(|r| r.role)
        .collect();
    assert_eq!(due, RoleName::ALL);
    let outcome = repository.refresh().await.unwrap();
    let all = [
        (RoleName::Root, 2),
        (RoleName::Targets, 2),
        (RoleName::Snapshot, 2),
        (RoleName::Timestamp, 3),
    ];
    assert_eq!(versions(&outcome), all);
    let warm = client(&repository, Some(&first)).await.unwrap();
    assert_eq!(warm.root.signed().version.get(), 2);
    assert_eq!(
        warm.targets.signed().targets,
        first.targets.signed().targets
    );
    assert_eq!(
        std::fs::read(repository.root_json()).unwrap(),
        warm.root.to_json().unwrap()
    );

    // Everything has expired; the next start brings it back, also for clients of the first day.
    clock.advance(400 * DAY);
    assert!(client(&repository, None).await.is_err());
    repository.set_targets(files(&[("a", "1")])).await.unwrap();
    client(&repository, Some(&first)).await.unwrap();
    client(&repository, None).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_went_back_does_not_sign() {
    let dir = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let repository = start(dir.path(), &clock).await;
    clock.set_ms(START_MS - 2 * 86_400_000);
    let error = repository
        .set_targets(files(&[("a", "2")]))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            RepositoryError::Clock {
                role: RoleName::Targets
            }
        ),
        "{error}"
    );
}

/// Root 2 of 3, targets 2 of 2.
fn quorum() -> Policy {
    let mut policy = Policy::default();
    let uris = |role: &str, count: usize| -> Vec<KeyUri> {
        (0..count)
            .map(|i| format!("file:keys/{role}-{i}.pem").parse().unwrap())
            .collect()
    };
    let root = policy.roles.get_mut(&RoleName::Root).unwrap();
    (root.keys, root.threshold) = (uris("root", 3), 2);
    let targets = policy.roles.get_mut(&RoleName::Targets).unwrap();
    (targets.keys, targets.threshold) = (uris("targets", 2), 2);
    policy
}

#[tokio::test]
async fn thresholds_are_met_with_the_keys_at_hand_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let shared = Arc::clone(&clock) as SharedClock;
    let repository = Repository::init(dir.path(), &quorum(), Some(passphrase()), shared)
        .await
        .unwrap();
    assert!(matches!(
        repository.refresh().await,
        Err(RepositoryError::NotPublished)
    ));
    repository.set_targets(files(&[("a", "1")])).await.unwrap();
    client(&repository, None).await.unwrap();

    let key = |name: &str| dir.path().join("keys").join(name);
    std::fs::remove_file(key("root-0.pem")).unwrap();
    clock.advance(300 * DAY);
    assert_eq!(
        versions(&repository.refresh().await.unwrap())[0],
        (RoleName::Root, 2)
    );

    // One root key and one targets key are not enough: online roles go on, with a warning each.
    std::fs::remove_file(key("root-1.pem")).unwrap();
    std::fs::remove_file(key("targets-0.pem")).unwrap();
    clock.advance(300 * DAY);
    let outcome = repository.refresh().await.unwrap();
    assert_eq!(
        versions(&outcome),
        [(RoleName::Snapshot, 3), (RoleName::Timestamp, 3)]
    );
    assert_eq!(outcome.warnings.len(), 2);
    assert!(
        outcome.warnings[0].contains("root version 2 expires"),
        "{}",
        outcome.warnings[0]
    );
    assert!(
        outcome.warnings[1].contains("1 of 2"),
        "{}",
        outcome.warnings[1]
    );
    client(&repository, None).await.unwrap();

    let before = tree(&repository.published_dir());
    let error = repository
        .set_targets(files(&[("a", "2")]))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            RepositoryError::Quorum {
                role: RoleName::Targets,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(tree(&repository.published_dir()), before);
}

#[tokio::test]
async fn policies_that_protect_nothing_are_refused() {
    let change = |change: &dyn Fn(&mut Policy)| {
        let mut policy = Policy::default();
        change(&mut policy);
        policy
    };
    let shared_key = |p: &mut Policy| {
        let keys = p.roles[&RoleName::Root].keys.clone();
        p.roles.get_mut(&RoleName::Timestamp).unwrap().keys = keys;
    };
    for (policy, words) in [
        (change(&shared_key), "different keys for offline and online"),
        (
            change(&|p| p.roles.get_mut(&RoleName::Root).unwrap().threshold = 2),
            "cannot need 2 signatures with 1 keys",
        ),
        (
            change(&|p| p.roles.get_mut(&RoleName::Root).unwrap().threshold = 0),
            "cannot need 0 signatures",
        ),
        (
            change(&|p| p.roles.get_mut(&RoleName::Snapshot).unwrap().keys.clear()),
            "0 keys",
        ),
        (
            change(&|p| p.roles.get_mut(&RoleName::Timestamp).unwrap().window = Period::days(7)),
            "window",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let made = Repository::init(dir.path(), &policy, Some(passphrase()), manual_clock()).await;
        let error = made.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(Repository::open(dir.path(), None, manual_clock()).is_err());
    }
}

#[tokio::test]
async fn a_repository_is_made_once() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path(), &manual_clock()).await;
    let again = Repository::init(
        dir.path(),
        &Policy::default(),
        Some(passphrase()),
        manual_clock(),
    )
    .await;
    assert!(matches!(again, Err(RepositoryError::AlreadyInitialised(_))));
    let nowhere = Repository::open(&dir.path().join("nowhere"), None, manual_clock());
    assert!(nowhere.unwrap_err().to_string().contains("tuf-root init"));
}

#[tokio::test]
async fn trust_documents_that_clients_refuse_are_not_published() {
    let dir = tempfile::tempdir().unwrap();
    let repository = start(dir.path(), &manual_clock()).await;
    let before = tree(&repository.published_dir());
    for name in ["trusted_root.json", "signing_config.v0.2.json"] {
        let error = repository
            .set_targets(files(&[(name, "{}")]))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(name) && error.contains("nothing was changed"),
            "{error}"
        );
    }
    assert_eq!(tree(&repository.published_dir()), before);
}

#[tokio::test]
async fn tampering_is_noticed_and_nothing_is_signed_over_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let repository = start(dir.path(), &clock).await;
    repository.set_targets(files(&[("a", "2")])).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    start(other.path(), &clock).await;

    let a = Sha256::of(b"2");
    let foreign = |file: &str| Some(std::fs::read(other.path().join(file)).unwrap());
    let rows: [(String, Option<Vec<u8>>); 8] = [
        (format!("published/targets/{a}.a"), Some(b"3".to_vec())),
        (format!("published/targets/{a}.a"), None),
        (
            "published/timestamp.json".into(),
            foreign("published/timestamp.json"),
        ),
        (
            "published/2.targets.json".into(),
            foreign("published/1.targets.json"),
        ),
        ("published/2.snapshot.json".into(), None),
        (
            "published/1.root.json".into(),
            foreign("published/1.root.json"),
        ),
        ("roots/1.root.json".into(), foreign("roots/1.root.json")),
        ("roots/1.root.json".into(), None),
    ];
    for (file, content) in rows {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        match content {
            Some(bytes) => std::fs::write(copied.path().join(&file), bytes).unwrap(),
            None => std::fs::remove_file(copied.path().join(&file)).unwrap(),
        }
        let before = tree(copied.path());
        let shared = Arc::clone(&clock) as SharedClock;
        let tampered = Repository::open(copied.path(), Some(passphrase()), shared).unwrap();
        let error = tampered.publish().await.unwrap_err();
        assert!(
            matches!(error, RepositoryError::Tampered(..)),
            "{file}: {error}"
        );
        assert_eq!(tree(copied.path()), before, "{file}");
    }
}

#[tokio::test]
async fn a_key_file_that_was_exchanged_does_not_sign() {
    let dir = tempfile::tempdir().unwrap();
    let repository = start(dir.path(), &manual_clock()).await;
    let keys = dir.path().join("keys");
    std::fs::copy(keys.join("snapshot.pem"), keys.join("timestamp.pem")).unwrap();
    let error = repository
        .set_targets(files(&[("a", "2")]))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("holds another key"), "{error}");
}

#[tokio::test]
async fn a_published_tree_from_a_backup_is_continued_beyond_every_number_taken() {
    let dir = tempfile::tempdir().unwrap();
    let repository = start(dir.path(), &manual_clock()).await;
    let backup = tempfile::tempdir().unwrap();
    copy(&repository.published_dir(), backup.path());
    for content in ["2", "3"] {
        repository
            .set_targets(files(&[("a", content)]))
            .await
            .unwrap();
    }
    let warm = client(&repository, None).await.unwrap();

    std::fs::remove_dir_all(repository.published_dir()).unwrap();
    copy(backup.path(), &repository.published_dir());
    let outcome = repository.set_targets(files(&[("a", "4")])).await.unwrap();
    let four = [
        (RoleName::Targets, 4),
        (RoleName::Snapshot, 4),
        (RoleName::Timestamp, 4),
    ];
    assert_eq!(versions(&outcome), four);
    client(&repository, Some(&warm)).await.unwrap();
}

#[tokio::test]
async fn two_writers_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let repository = start(dir.path(), &manual_clock()).await;
    let other = repository.clone();
    let (a, b) = tokio::join!(
        repository.set_targets(files(&[("a", "left")])),
        other.set_targets(files(&[("a", "right")])),
    );
    let mut seen: Vec<u64> = [a, b]
        .iter()
        .map(|o| o.as_ref().unwrap().published[&RoleName::Targets].get())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, [2, 3]);
    client(&repository, None).await.unwrap();
}
