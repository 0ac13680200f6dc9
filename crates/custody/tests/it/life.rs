//! Making an authority, its successor, the switch.

use custody::{Error, Purpose};
use pki::authority::Role;
use pki::certificate::Certificate;

use super::*;

#[tokio::test]
async fn a_new_authority_has_the_profile_that_every_client_accepts() {
    for purpose in [Purpose::CodeSigning, Purpose::TimeStamping] {
        let home = Home::made(purpose).await;
        let material = home.source().open(Some(&passphrase())).await.unwrap();
        let role = match purpose {
            Purpose::CodeSigning => Role::Intermediate { purpose },
            Purpose::TimeStamping => Role::TimestampLeaf,
        };
        let key = material.signer.public_key();
        material
            .chain
            .check_certified(role, key, home.now())
            .unwrap();
        assert_eq!(material.chain.len(), 2);
        let root = Certificate::from_der(material.chain.root()).unwrap();
        assert_eq!(root.extended_key_usages().unwrap(), None);
        assert_eq!(root.ca_constraints().unwrap().unwrap().path_length, None);
        // Its entry makes a trusted root that the strictest reader accepts.
        let root = std::fs::read(home.publish(&[1], |_| ())).unwrap();
        wire::trust::TrustedRoot::from_json(&root).unwrap();
    }
}

#[tokio::test]
async fn nothing_is_made_twice_or_over_something() {
    let home = Home::made(Purpose::CodeSigning).await;
    let before = std::fs::read(home.path().join("key-1.pem")).unwrap();
    assert!(matches!(
        home.begin(home.root()).await,
        Err(Error::Exists(_))
    ));
    std::fs::remove_file(home.path().join("authority.json")).unwrap();
    // The keys of an interrupted `init` are never overwritten either.
    assert!(matches!(home.begin(home.root()).await, Err(Error::Key(_))));
    assert_eq!(
        std::fs::read(home.path().join("key-1.pem")).unwrap(),
        before
    );
}

#[tokio::test]
async fn a_successor_signs_only_once_the_published_trust_root_lists_it() {
    for purpose in [Purpose::CodeSigning, Purpose::TimeStamping] {
        let home = Home::made(purpose).await;
        let first = home.open().generation(1).unwrap().chain.unwrap();
        home.advance(900);
        let made = home.next().await;
        assert!(!made.active);
        assert_eq!(home.open().active().unwrap(), Some(1));

        let says = |path: &Path| match home.activate(path) {
            Err(Error::Unpublished(reason)) => reason,
            other => panic!("{other:?}"),
        };
        let unlisted = says(&home.publish(&[1], |_| ()));
        assert!(unlisted.contains("does not list"), "{unlisted}");
        assert!(unlisted.contains("trust-root-entry.json"), "{unlisted}");
        let list = match purpose {
            Purpose::CodeSigning => "certificateAuthorities",
            Purpose::TimeStamping => "timestampAuthorities",
        };
        let ended = says(&home.publish(&[1, 2], |root| {
            root[list][1]["validFor"]["end"] = root[list][1]["validFor"]["start"].clone();
        }));
        assert!(ended.contains("not as valid now"), "{ended}");
        let later = says(&home.publish(&[1, 2], |root| {
            root[list][1]["validFor"]["start"] = "2029-01-01T00:00:00Z".into();
        }));
        assert!(later.contains("not as valid now"), "{later}");
        assert_eq!(home.open().active().unwrap(), Some(1));
        let garbage = home.directory.path().join("garbage");
        std::fs::write(&garbage, "{}").unwrap();
        assert!(matches!(home.activate(&garbage), Err(Error::Trust(_))));

        let published = home.publish(&[1, 2], |_| ());
        assert!(home.activate(&published).unwrap().active);
        let material = home.source().open(Some(&passphrase())).await.unwrap();
        assert_ne!(material.chain.first(), first.first());
        assert_eq!(material.chain.root(), first.root());
        // And the way back.
        let directory = home.open();
        let back = directory.activate(&published, Some(1), &home.clock(), "test");
        assert_eq!(back.unwrap().generation, 1);
        assert!(matches!(
            directory.activate(&published, Some(3), &home.clock(), "test"),
            Err(Error::Usage(_))
        ));
    }
}

#[tokio::test]
async fn a_successor_needs_a_key_of_its_own_and_ends_with_the_root() {
    let home = Home::made(Purpose::CodeSigning).await;
    let root = NewKey {
        existing: true,
        ..home.key("root-key.pem")
    };
    let same = NewKey {
        existing: true,
        ..home.key("key-1.pem")
    };
    let three_years = Duration::from_secs(1095 * DAY);
    let refused = home
        .open()
        .next(&same, Some(&root), three_years, &home.clock(), "test")
        .await;
    assert!(matches!(refused, Err(Error::Usage(_))), "{refused:?}");
    home.advance(3650 - 400);
    home.next().await;
    let chain = home.open().generation(2).unwrap().chain.unwrap();
    let [signing, root_certificate] =
        [chain.first(), chain.root()].map(|der| Certificate::from_der(der).unwrap().not_after());
    assert_eq!(signing, root_certificate);
    home.advance(396);
    let refused = home
        .open()
        .next(
            &home.key("key-3.pem"),
            Some(&root),
            three_years,
            &home.clock(),
            "test",
        )
        .await;
    assert!(matches!(refused, Err(Error::Usage(_))), "{refused:?}");
}

#[tokio::test]
async fn status_says_what_is_due_and_when() {
    let home = Home::made(Purpose::CodeSigning).await;
    let fresh = home.status();
    assert!(fresh.due.is_empty(), "{:?}", fresh.due);
    assert_eq!(fresh.active.unwrap().days_left, Some(1095));
    home.advance(1095 - 89);
    let soon = home.status();
    assert!(soon.due[0].contains("no successor"), "{:?}", soon.due);
    home.next().await;
    let prepared = home.status();
    assert!(prepared.due[0].contains("`activate`"), "{:?}", prepared.due);
    assert_eq!(prepared.next.unwrap().generation, 2);
    home.activate(&home.publish(&[1, 2], |_| ())).unwrap();
    let done = home.status();
    assert!(done.due.is_empty(), "{:?}", done.due);
    assert!(done.next.is_none());
}

#[tokio::test]
async fn the_transcript_names_every_key_and_certificate_and_no_secret() {
    let home = Home::made(Purpose::CodeSigning).await;
    home.next().await;
    home.activate(&home.publish(&[1, 2], |_| ())).unwrap();
    let text = home.open().transcript().read().unwrap();
    for number in [1, 2] {
        let generation = home.open().generation(number).unwrap();
        let chain = generation.chain.unwrap();
        for expected in [
            hex::encode(crypto::sha256(chain.first())),
            hex::encode(crypto::sha256(chain.root())),
            hex::encode(generation.public_key.key_id()),
            generation.key.to_string(),
        ] {
            assert!(text.contains(&expected), "{expected}: {text}");
        }
    }
    assert!(text.contains(env!("CARGO_PKG_VERSION")));
    assert!(text.contains("generation 2 active, after 1"), "{text}");
    assert!(!text.contains("correct horse"));
}

#[tokio::test]
async fn commands_do_not_run_beside_one_another() {
    let home = Home::made(Purpose::CodeSigning).await;
    let lock = std::fs::File::open(home.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    let published = home.publish(&[1], |_| ());
    assert!(matches!(home.activate(&published), Err(Error::Busy(_))));
}

#[tokio::test]
async fn an_authority_of_another_purpose_or_none_is_refused() {
    let home = Home::made(Purpose::TimeStamping).await;
    let error = Directory::open(&home.path(), Purpose::CodeSigning).unwrap_err();
    assert!(error.to_string().contains("timestamp-rs"), "{error}");
    let error = Directory::open(home.directory.path(), Purpose::CodeSigning).unwrap_err();
    assert!(matches!(error, Error::None(_)), "{error}");
    // A link that leads elsewhere, and a chain of another key.
    std::fs::remove_file(home.path().join("active")).unwrap();
    std::os::unix::fs::symlink("../../etc", home.path().join("active")).unwrap();
    assert!(home.open().active().is_err());
    let other = Home::made(Purpose::TimeStamping).await;
    std::fs::copy(
        other.path().join("1/chain.pem"),
        home.path().join("1/chain.pem"),
    )
    .unwrap();
    assert!(home.open().generation(1).is_err());
}
