//! Keys that are elsewhere, and keys that change.

use clock::Clock as _;
use keys::{Algorithm, FileSigner, Signer as _};

use super::*;
use crate::ceremony::{Answer, Claim, Limits, Record, RefusalError, Request};
use crate::metadata::{Key, KeyId};
use crate::policy::RolePolicy;

/// Somebody with a key and a machine of their own.
struct Holder {
    signer: FileSigner,
    dir: tempfile::TempDir,
}

impl Holder {
    fn new() -> Self {
        Self {
            signer: FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn key(&self) -> Key {
        Key::new(self.signer.public_key().clone()).unwrap()
    }

    async fn claim(&self, owner: &str) -> NewKey {
        let claim = Claim::make(&self.signer, owner).await.unwrap();
        let carried = serde_json::to_vec(&claim).unwrap();
        NewKey::Claim(Claim::read(&carried).unwrap())
    }

    /// Reviews and signs what comes on a stick, as `sign` does.
    async fn sign(&self, request: &Request, now_secs: u64) -> Result<Answer, RefusalError> {
        let (request, proposal) = Request::read(&request.to_json().unwrap()).unwrap();
        let mut record = Record::open(&self.dir.path().join("signed.json")).unwrap();
        let limits = Limits {
            now_secs,
            max_expiry: Period::days(400),
            replace: false,
        };
        record.review(&request, &proposal, &self.key(), limits)?;
        record.note(&request, self.key().id()).unwrap();
        let signature = self.signer.sign(request.payload()).await.unwrap();
        let answer = Answer::to(&request, self.key().id(), signature);
        Ok(Answer::read(&answer.to_json().unwrap()).unwrap())
    }
}

struct Ceremony {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    repository: Repository,
    holders: Vec<Holder>,
}

const OFFLINE: [RoleName; 2] = [RoleName::Root, RoleName::Targets];

impl Ceremony {
    /// A repository whose root and targets need two of three people, before its first root.
    async fn prepare() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), manual_clock());
        let mut policy = Policy::default();
        for role in OFFLINE {
            let entry: &mut RolePolicy = policy.roles.get_mut(&role).unwrap();
            (entry.keys, entry.threshold) = (Vec::new(), 2);
        }
        let shared = Arc::clone(&clock) as SharedClock;
        let repository = Repository::init(dir.path(), &policy, Some(passphrase()), shared)
            .await
            .unwrap();
        let mut holders = Vec::new();
        for owner in ["ann", "ben", "cho"] {
            let holder = Holder::new();
            let claim = holder.claim(owner).await;
            repository.add_key(&OFFLINE, claim).await.unwrap();
            holders.push(holder);
        }
        Self {
            dir,
            clock,
            repository,
            holders,
        }
    }

    /// The same, published with one file.
    async fn published() -> Self {
        let it = Self::prepare().await;
        it.stage_file("1").await;
        let (root, targets) = (
            it.repository.stage_root().await.unwrap(),
            it.repository.stage_targets(false).await.unwrap(),
        );
        for request in [root, targets] {
            it.sign(&request, &[0, 1]).await;
        }
        it.repository.publish().await.unwrap();
        it
    }

    async fn stage_file(&self, content: &str) {
        let [file] = <[TargetFile; 1]>::try_from(files(&[("a", content)])).unwrap();
        self.repository.stage_target(file).await.unwrap();
    }

    async fn sign(&self, request: &Request, who: &[usize]) {
        for holder in who {
            let now = self.clock.now_secs();
            let answer = self.holders[*holder].sign(request, now).await.unwrap();
            self.repository.import_signature(&answer).await.unwrap();
        }
    }

    async fn client(&self, cached: Option<&Trusted>) -> Result<Trusted, client::UpdateError> {
        client(&self.repository, cached).await
    }
}

fn online_keys(trusted: &Trusted) -> (Vec<KeyId>, Vec<KeyId>) {
    let roles = &trusted.root.signed().roles;
    (
        roles.snapshot.keyids.clone(),
        roles.timestamp.keyids.clone(),
    )
}

#[tokio::test]
async fn root_and_targets_are_published_once_two_of_three_people_signed_elsewhere() {
    let it = Ceremony::prepare().await;
    it.stage_file("1").await;
    let says = |result: Result<Outcome, RepositoryError>| result.unwrap_err().to_string();
    assert!(says(it.repository.publish().await).contains("tuf-root stage root"));
    let root = it.repository.stage_root().await.unwrap();
    let targets = it.repository.stage_targets(false).await.unwrap();
    assert_eq!(it.repository.status().await.unwrap().phase, Phase::Ceremony);

    it.sign(&root, &[0]).await;
    let said = says(it.repository.publish().await);
    assert!(
        said.contains("1 of 2") && said.contains("held by ben"),
        "{said}"
    );
    it.sign(&root, &[2]).await;
    let said = says(it.repository.publish().await);
    assert!(said.contains("targets"), "{said}");
    assert!(!it.repository.published_dir().exists(), "nothing by halves");
    it.sign(&targets, &[1, 2]).await;
    // A rehearsal changes nothing.
    assert_eq!(versions(&it.repository.simulate().await.unwrap()).len(), 4);
    assert!(!it.repository.published_dir().exists());
    assert_eq!(versions(&it.repository.publish().await.unwrap()).len(), 4);

    let trusted = it.client(None).await.unwrap();
    assert_eq!(trusted.root.signed().roles.root.threshold, 2);
    assert!(!it.dir.path().join("keys/root.pem").exists());
    let status = it.repository.status().await.unwrap();
    assert_eq!((status.phase, status.staged.len()), (Phase::Live, 0));
    // The refresh goes on without anybody.
    it.clock.advance(DAY);
    it.repository.refresh().await.unwrap();
    it.client(Some(&trusted)).await.unwrap();
}

#[tokio::test]
async fn a_new_root_needs_the_old_quorum_and_the_new_one() {
    let mut it = Ceremony::published().await;
    let warm = it.client(None).await.unwrap();
    // All keys are replaced and the threshold goes up, in one step.
    for _ in 0..3 {
        let holder = Holder::new();
        let claim = holder.claim("new").await;
        it.repository
            .add_key(&[RoleName::Root], claim)
            .await
            .unwrap();
        it.holders.push(holder);
    }
    for holder in 0..3 {
        let id = it.holders[holder].key().id().to_string();
        let removed = it.repository.remove_key(&[RoleName::Root], &id[..12]).await;
        assert_eq!(removed.unwrap().to_string(), id);
    }
    it.repository
        .set_threshold(RoleName::Root, 3)
        .await
        .unwrap();
    let root = it.repository.stage_root().await.unwrap();
    assert!(
        root.summary
            .iter()
            .any(|line| line == "root: 3 of 3 keys must sign instead of 2 of 3"),
        "{:?}",
        root.summary
    );
    // Only old, then only a part of the new ones: clients would refuse both.
    for (who, enough) in [(0, false), (1, false), (3, false), (4, false), (5, true)] {
        it.sign(&root, &[who]).await;
        assert_eq!(it.repository.publish().await.is_ok(), enough, "{who}");
    }
    for cached in [None, Some(&warm)] {
        let now = it.client(cached).await.unwrap();
        assert_eq!(now.root.signed().version.get(), 2);
    }
    assert_eq!(
        it.repository.root_json(),
        it.repository.published_dir().join("root.json")
    );
}

#[tokio::test]
async fn new_targets_keys_sign_together_with_the_old_ones() {
    let mut it = Ceremony::published().await;
    let warm = it.client(None).await.unwrap();
    let holder = Holder::new();
    it.repository
        .add_key(&[RoleName::Targets], holder.claim("dee").await)
        .await
        .unwrap();
    it.holders.push(holder);
    for gone in [0, 1] {
        let id = it.holders[gone].key().id().to_string();
        it.repository
            .remove_key(&[RoleName::Targets], &id)
            .await
            .unwrap();
    }
    let root = it.repository.stage_root().await.unwrap();
    it.sign(&root, &[0, 1]).await;
    // The published targets would not be accepted under the new root.
    let error = it.repository.publish().await.unwrap_err();
    assert!(
        matches!(error, RepositoryError::NotStaged(RoleName::Targets)),
        "{error}"
    );
    assert_eq!(it.client(None).await.unwrap(), warm);

    let targets = it.repository.stage_targets(false).await.unwrap();
    assert_eq!(targets.quorums.len(), 2);
    it.sign(&targets, &[0, 1]).await;
    assert!(
        it.repository.publish().await.is_err(),
        "the new quorum is missing"
    );
    it.sign(&targets, &[2, 3]).await;
    it.repository.publish().await.unwrap();
    for cached in [None, Some(&warm)] {
        assert_eq!(
            it.client(cached).await.unwrap().root.signed().version.get(),
            2
        );
    }
}

#[tokio::test]
async fn one_public_key_cannot_be_two_keys() {
    let it = Ceremony::prepare().await;
    let again = it.holders[0].claim("somebody else").await;
    let error = it
        .repository
        .add_key(&[RoleName::Root], again)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("held by ann"), "{error}");
    // Nor may it be online.
    let key = NewKey::Public {
        key: it.holders[0].key(),
        owner: "ann".to_owned(),
    };
    let error = it
        .repository
        .add_key(&[RoleName::Timestamp], key)
        .await
        .unwrap_err();
    assert!(
        matches!(error, RepositoryError::Profile(ProfileError::Shared { .. })),
        "{error}"
    );
    assert_eq!(it.repository.keys().unwrap().len(), 8);
}

#[tokio::test]
async fn a_claim_proves_that_its_maker_holds_the_key() {
    let (ann, eve) = (Holder::new(), Holder::new());
    let claim = Claim::make(&ann.signer, "ann").await.unwrap();
    let mut forged = serde_json::to_value(&claim).unwrap();
    forged["owner"] = "eve".into();
    let said = Claim::read(&serde_json::to_vec(&forged).unwrap()).unwrap_err();
    assert!(said.to_string().contains("does not hold the key"));
    let mut forged = serde_json::to_value(&claim).unwrap();
    forged["public_key"] = eve.signer.public_key().to_pem().into();
    assert!(Claim::read(&serde_json::to_vec(&forged).unwrap()).is_err());
    assert!(Claim::make(&ann.signer, "two\nlines").await.is_err());
}

#[tokio::test]
async fn a_signer_sees_what_the_bytes_say_or_nothing() {
    let it = Ceremony::prepare().await;
    let root = it.repository.stage_root().await.unwrap();
    let good: serde_json::Value = serde_json::from_slice(&root.to_json().unwrap()).unwrap();
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = good.clone();
        change(&mut value);
        Request::read(&serde_json::to_vec(&value).unwrap())
            .unwrap_err()
            .to_string()
    };
    for (says, error) in [
        (
            "summary",
            changed(&|v| v["summary"][0] = "nothing of importance".into()),
        ),
        (
            "who must sign",
            changed(&|v| v["quorums"][0]["threshold"] = 1.into()),
        ),
        ("version", changed(&|v| v["version"] = 2.into())),
        ("hash", changed(&|v| v["sha256"] = "00".repeat(32).into())),
        ("unknown field", changed(&|v| v["note"] = "x".into())),
    ] {
        assert!(error.contains(says), "{says}: {error}");
    }
    // Members that nobody knows, in the payload itself.
    let mut payload = root.payload().to_vec();
    payload.pop();
    payload.extend_from_slice(b",\"x\":1}");
    assert!(Document::<Root>::from_payload(&payload).is_err());
    let spaced = [b" ".as_slice(), root.payload()].concat();
    assert!(Document::<Root>::from_payload(&spaced).is_err());
}

#[tokio::test]
async fn a_signer_does_not_go_back_nor_sign_for_too_long_nor_for_others() {
    let it = Ceremony::published().await;
    let now = it.clock.now_secs();
    it.stage_file("2").await;
    let second = it.repository.stage_targets(false).await.unwrap();
    it.repository.unstage(RoleName::Targets).await.unwrap();
    let third = it.repository.stage_targets(false).await.unwrap();
    assert_eq!(
        third.version,
        second.version.next(),
        "a version is never used twice"
    );
    let [ann, ..] = &it.holders[..] else { panic!() };
    ann.sign(&third, now).await.unwrap();
    assert!(matches!(
        ann.sign(&second, now).await,
        Err(RefusalError::Rollback { .. })
    ));
    // Two roots of one version: an abandoned one must be said to be so.
    let root = it.repository.stage_root().await.unwrap();
    ann.sign(&root, now).await.unwrap();
    it.repository.unstage(RoleName::Root).await.unwrap();
    it.clock.advance(Duration::from_secs(5));
    let other = it.repository.stage_root().await.unwrap();
    assert_eq!(other.version, root.version);
    assert!(matches!(
        ann.sign(&other, now).await,
        Err(RefusalError::Replaced { .. })
    ));
    // A clock two days off, either way, and somebody whose key is not asked for.
    let days = |days: u64| days * 86_400;
    let ben = &it.holders[1];
    assert!(matches!(
        ben.sign(&other, now - days(40)).await,
        Err(RefusalError::Expiry(..))
    ));
    assert!(matches!(
        ben.sign(&other, now + days(365)).await,
        Err(RefusalError::Expired(_))
    ));
    assert!(matches!(
        Holder::new().sign(&other, now).await,
        Err(RefusalError::Key(_))
    ));
    // An answer to something else is not taken.
    let stale = ann.signer.sign(root.payload()).await.unwrap();
    let stale = Answer::to(&root, ann.key().id(), stale);
    let error = it.repository.import_signature(&stale).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Answer { .. }), "{error}");
    let forged = Answer::to(&other, ann.key().id(), vec![0; 70]);
    assert!(it.repository.import_signature(&forged).await.is_err());
}

#[tokio::test]
async fn online_keys_are_rotated_without_a_moment_in_which_clients_are_refused() {
    let it = Ceremony::published().await;
    let warm = it.client(None).await.unwrap();
    let none = BTreeMap::new();
    let waiting = it.repository.rotate_online(&none).await.unwrap();
    assert!(
        matches!(&waiting, Rotation::Waiting(why) if why.contains("root")),
        "{waiting:?}"
    );
    assert_eq!(it.client(Some(&warm)).await.unwrap(), warm);
    let root = it.repository.request(RoleName::Root).await.unwrap();
    it.sign(&root, &[0, 2]).await;
    let done = it.repository.rotate_online(&none).await.unwrap();
    let Rotation::Done(outcome) = done else {
        panic!("{done:?}")
    };
    // With both keys. A client that has seen that there is no second root yet, and reads the
    // timestamp only now, knows the old one.
    let expected = [
        (RoleName::Root, 2),
        (RoleName::Snapshot, 2),
        (RoleName::Timestamp, 2),
    ];
    assert_eq!(versions(&outcome), expected);
    let between = it.client(Some(&warm)).await.unwrap();
    let old_root = warm.root.signed();
    let old_keys = &old_root.roles.timestamp;
    between.timestamp.verify(&old_root.keys, old_keys).unwrap();
    assert_eq!(it.client(None).await.unwrap(), between);
    // With the new ones only, and not before everybody has looked for a newer root once more.
    assert_eq!(it.repository.refresh().await.unwrap(), Outcome::default());
    it.clock.advance(GRACE);
    let refreshed = it.repository.refresh().await.unwrap();
    let expected = [(RoleName::Snapshot, 3), (RoleName::Timestamp, 3)];
    assert_eq!(versions(&refreshed), expected);
    let after = it.client(Some(&warm)).await.unwrap();
    assert_eq!(it.client(None).await.unwrap(), after);
    let ((old_s, old_t), (new_s, new_t)) = (online_keys(&warm), online_keys(&after));
    assert!(old_s != new_s && old_t != new_t);
    assert_eq!(after.timestamp.signers().collect::<Vec<_>>(), new_t);
    assert_eq!(it.repository.publish().await.unwrap(), Outcome::default());
    assert_eq!(
        it.repository
            .transcript()
            .read()
            .unwrap()
            .matches("rotated")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_thief_of_the_online_keys_is_locked_out_and_forgotten() {
    let it = Ceremony::published().await;
    // The thief runs the timestamp up and shows it to a client.
    let thief = tempfile::tempdir().unwrap();
    copy(it.dir.path(), thief.path());
    let shared = Arc::clone(&it.clock) as SharedClock;
    let stolen = Repository::open(thief.path(), Some(passphrase()), shared).unwrap();
    let high = Version::new(1_000_000).unwrap();
    let seen = BTreeMap::from([(RoleName::Timestamp, high), (RoleName::Snapshot, high)]);
    stolen.jump_ahead(&seen).await.unwrap();
    stolen.refresh().await.unwrap();
    let victim = client(&stolen, None).await.unwrap();
    assert_eq!(victim.timestamp.signed().version, high.next());
    let refused = it.client(Some(&victim)).await.unwrap_err();
    assert!(matches!(refused, client::UpdateError::Rollback { .. }));

    // A new root alone does not help.
    let root = it.repository.stage_root().await.unwrap();
    it.sign(&root, &[0, 1]).await;
    it.repository.publish().await.unwrap();
    assert!(it.client(Some(&victim)).await.is_err());

    let none = BTreeMap::new();
    assert!(matches!(
        it.repository.revoke_online(&none).await.unwrap(),
        Rotation::Waiting(_)
    ));
    let root = it.repository.request(RoleName::Root).await.unwrap();
    it.sign(&root, &[1, 2]).await;
    let done = it.repository.revoke_online(&none).await.unwrap();
    assert!(matches!(done, Rotation::Done(_)), "{done:?}");
    let healed = it.client(Some(&victim)).await.unwrap();
    assert_eq!(healed, it.client(None).await.unwrap());
    assert_ne!(online_keys(&healed), online_keys(&victim));
    // What the thief signs now is refused.
    stolen.refresh().await.unwrap();
    std::fs::copy(
        stolen.published_dir().join("timestamp.json"),
        it.repository.published_dir().join("timestamp.json"),
    )
    .unwrap();
    let refused = it.client(Some(&healed)).await.unwrap_err();
    assert!(matches!(refused, client::UpdateError::Signature(_)));
}

#[tokio::test]
async fn keys_that_were_rotated_a_moment_ago_are_revoked_all_the_same() {
    let it = Ceremony::published().await;
    let none = BTreeMap::new();
    it.repository.rotate_online(&none).await.unwrap();
    let root = it.repository.request(RoleName::Root).await.unwrap();
    it.sign(&root, &[0, 1]).await;
    it.repository.rotate_online(&none).await.unwrap();
    let rotated = it.client(None).await.unwrap();
    let waiting = it.repository.revoke_online(&none).await.unwrap();
    assert!(matches!(waiting, Rotation::Waiting(_)), "{waiting:?}");
    let root = it.repository.request(RoleName::Root).await.unwrap();
    it.sign(&root, &[1, 2]).await;
    it.repository.revoke_online(&none).await.unwrap();
    let revoked = it.client(Some(&rotated)).await.unwrap();
    assert_eq!(revoked.root.signed().version.get(), 3);
    let ((old_s, old_t), (new_s, new_t)) = (online_keys(&rotated), online_keys(&revoked));
    assert!(old_s != new_s && old_t != new_t);
    assert_eq!(revoked.timestamp.signers().collect::<Vec<_>>(), new_t);
}

#[tokio::test]
async fn a_theft_during_a_rotation_takes_the_new_keys_too() {
    let it = Ceremony::published().await;
    let warm = it.client(None).await.unwrap();
    let none = BTreeMap::new();
    it.repository.rotate_online(&none).await.unwrap();
    let rotation = it.repository.request(RoleName::Root).await.unwrap();
    it.sign(&rotation, &[0]).await;
    it.repository.revoke_online(&none).await.unwrap();
    let root = it.repository.request(RoleName::Root).await.unwrap();
    assert_ne!(root.payload(), rotation.payload());
    it.sign(&root, &[1, 2]).await;
    let done = it.repository.revoke_online(&none).await.unwrap();
    assert!(matches!(done, Rotation::Done(_)), "{done:?}");
    let revoked = it.client(Some(&warm)).await.unwrap();
    let stolen: Vec<KeyId> = Request::read(&rotation.to_json().unwrap())
        .map(|(_, proposal)| match proposal.content {
            crate::ceremony::Content::Root(document) => {
                let roles = &document.signed().roles;
                [&roles.snapshot.keyids[..], &roles.timestamp.keyids[..]].concat()
            }
            crate::ceremony::Content::Targets(_) => Vec::new(),
        })
        .unwrap();
    assert!(!stolen.is_empty());
    let (snapshot, timestamp) = online_keys(&revoked);
    assert!(
        stolen
            .iter()
            .all(|id| !snapshot.contains(id) && !timestamp.contains(id))
    );
}

#[tokio::test]
async fn whoever_cannot_refresh_is_told_before_it_is_due() {
    let it = Ceremony::published().await;
    it.repository.can_refresh().await.unwrap();
    let shared = Arc::clone(&it.clock) as SharedClock;
    let wrong = Repository::open(it.dir.path(), None, shared).unwrap();
    let error = wrong.can_refresh().await.unwrap_err().to_string();
    assert!(error.contains("--passphrase-file"), "{error}");
}

#[tokio::test]
async fn a_restored_backup_jumps_ahead_of_the_live_mirror() {
    let it = Ceremony::published().await;
    let backup = tempfile::tempdir().unwrap();
    copy(it.dir.path(), backup.path());
    // After the backup: two refreshes, a new file, a new root.
    it.clock.advance(2 * DAY);
    it.repository.refresh().await.unwrap();
    it.stage_file("2").await;
    let targets = it.repository.stage_targets(false).await.unwrap();
    it.sign(&targets, &[0, 1]).await;
    let root = it.repository.stage_root().await.unwrap();
    it.sign(&root, &[0, 1]).await;
    it.repository.publish().await.unwrap();
    let warm = it.client(None).await.unwrap();

    let shared = Arc::clone(&it.clock) as SharedClock;
    let restored = Repository::open(backup.path(), Some(passphrase()), shared).unwrap();
    restored.refresh().await.unwrap();
    assert!(client(&restored, Some(&warm)).await.is_err());
    let live = Directory {
        path: it.repository.published_dir(),
    };
    let recovered = restored.recover(&live).await.unwrap();
    assert_eq!(recovered.live[&RoleName::Root].get(), 2);
    restored.publish().await.unwrap();
    let after = client(&restored, Some(&warm)).await.unwrap();
    assert!(after.timestamp.signed().version > warm.timestamp.signed().version);
    assert_eq!(after.targets, warm.targets);
    assert_eq!(restored.publish().await.unwrap(), Outcome::default());
}

#[tokio::test]
async fn the_transcript_shows_who_signed_and_cannot_be_edited() {
    let it = Ceremony::published().await;
    let transcript = it.repository.transcript();
    let text = transcript.read().unwrap();
    assert_eq!(
        text.matches("held by ann, over root version 1, payload SHA-256")
            .count(),
        1
    );
    assert_eq!(text.matches("publishing 1.root.json").count(), 1);
    let path = it.dir.path().join("transcript.txt");
    std::fs::write(
        &path,
        text.replace("held by ann, over", "held by eve, over"),
    )
    .unwrap();
    assert!(transcript.read().is_err());
    // The end of a line was lost in a crash: the line does not count.
    std::fs::write(&path, &text[..text.len() - 3]).unwrap();
    assert!(transcript.read().unwrap().len() < text.len() - 3);
    it.stage_file("2").await;
    it.repository.stage_targets(false).await.unwrap();
    assert!(
        transcript
            .read()
            .unwrap()
            .contains("staged targets version 2")
    );
}

#[tokio::test]
async fn a_state_file_from_before_there_were_ceremonies_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let clock = manual_clock();
    let repository = start(dir.path(), &clock).await;
    let path = dir.path().join("state.json");
    let mut state: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    state.as_object_mut().unwrap().remove("id");
    for role in RoleName::ALL {
        let role = state["roles"][role.as_str()].as_object_mut().unwrap();
        role.remove("threshold");
        role["keys"][0].as_object_mut().unwrap().remove("public");
    }
    std::fs::write(&path, serde_json::to_vec(&state).unwrap()).unwrap();
    let warm = client(&repository, None).await.unwrap();
    let done = repository.rotate_online(&BTreeMap::new()).await.unwrap();
    assert!(matches!(done, Rotation::Done(_)), "{done:?}");
    clock.advance(300 * DAY);
    repository.refresh().await.unwrap();
    let after = client(&repository, Some(&warm)).await.unwrap();
    assert_eq!(after.root.signed().version.get(), 3);
}

#[tokio::test]
async fn status_says_when_people_have_to_come() {
    let it = Ceremony::published().await;
    let phase = async || it.repository.status().await.unwrap().phase;
    assert_eq!(phase().await, Phase::Live);
    it.clock.advance(2 * DAY);
    assert_eq!(
        phase().await,
        Phase::Live,
        "the refresh may be late for a while"
    );
    it.clock.advance(3 * DAY);
    assert_eq!(phase().await, Phase::Degraded);
    it.clock.advance(2 * DAY);
    assert_eq!(phase().await, Phase::Stalled);
    it.repository.refresh().await.unwrap();
    assert_eq!(phase().await, Phase::Live);
    it.clock.advance(270 * DAY);
    let outcome = it.repository.refresh().await.unwrap();
    assert!(
        outcome.warnings.iter().any(|w| w.contains("held by ann")),
        "{outcome:?}"
    );
    let attention = it.repository.status().await.unwrap().attention;
    assert_eq!(attention.len(), 2, "root and targets: {attention:?}");
}
