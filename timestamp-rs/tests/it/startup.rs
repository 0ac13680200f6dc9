//! Certificates and keys that clients would not accept are refused at start.

use keys::{FileSigner, Signer};
use pki::authority::{Issuer, Purpose, Role, Template, prepare};
use pki::chain::certificate_to_pem;
use pki::name::Subject;
use timestamp_rs::OpenError;

use super::certificates::{CA, CERT_SIGN, DIGITAL_SIGNATURE, Profile, TIMESTAMPING, certificate};
use super::*;

async fn refused(config: Config) -> String {
    let clock: SharedClock = Arc::new(ManualClock::at_ms(now_ms()));
    Service::open(config, clock).await.unwrap_err().to_string()
}

/// What `open` says about a leaf with this profile.
async fn refused_leaf(profile: Profile<'_>) -> String {
    let (directory, _, mut config) = material(Algorithm::EcdsaP256Sha256).await;
    let secret = Passphrase::new("other");
    let root_key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
    let path = directory.path().join("leaf.key.pem");
    let key = FileSigner::create(&path, Algorithm::EcdsaP256Sha256, &secret).unwrap();
    let passphrase = directory.path().join("other");
    std::fs::write(&passphrase, "other\n").unwrap();
    let root = Profile {
        basic_constraints: Some(CA),
        key_usage: CERT_SIGN,
        extended_key_usage: None,
    };
    let root = certificate(&root, "root", root_key.public_key(), "root", &root_key).await;
    let leaf = certificate(&profile, "leaf", key.public_key(), "root", &root_key).await;
    let chain = directory.path().join("chain.pem");
    std::fs::write(
        &chain,
        certificate_to_pem(&leaf) + &certificate_to_pem(&root),
    )
    .unwrap();
    config.certificate_chain = Some(chain);
    config.key = Some(KeyUri::file(path));
    config.passphrase = Some(PassphraseSource::File(passphrase));
    let clock: SharedClock = Arc::new(ManualClock::at_ms(now_ms()));
    match Service::open(config, clock).await {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

const GOOD: Profile<'static> = Profile {
    basic_constraints: None,
    key_usage: DIGITAL_SIGNATURE,
    extended_key_usage: Some((true, &[TIMESTAMPING])),
};

#[tokio::test]
async fn a_leaf_must_be_for_timestamping_critically_and_for_nothing_else() {
    assert_eq!(refused_leaf(GOOD).await, "accepted");
    let not_critical = refused_leaf(Profile {
        extended_key_usage: Some((false, &[TIMESTAMPING])),
        ..GOOD
    })
    .await;
    assert!(not_critical.contains("not critical"), "{not_critical}");
    let unknown: &[u8] = &[0x2b, 6, 1, 4, 1, 0x83, 0xbf, 0x30, 99];
    let two = refused_leaf(Profile {
        extended_key_usage: Some((true, &[TIMESTAMPING, unknown])),
        ..GOOD
    })
    .await;
    assert!(two.contains("nothing else"), "{two}");
    let none = refused_leaf(Profile {
        extended_key_usage: None,
        ..GOOD
    })
    .await;
    assert!(none.contains("timeStamping"), "{none}");
    let authority = refused_leaf(Profile {
        basic_constraints: Some(CA),
        ..GOOD
    })
    .await;
    assert!(authority.contains("cannot sign timestamps"), "{authority}");
}

#[tokio::test]
async fn the_key_must_be_the_leafs() {
    let (_directory, files, mut config) = material(Algorithm::EcdsaP256Sha256).await;
    config.key = Some(KeyUri::file(&files.root_key));
    let error = refused(config).await;
    assert!(error.contains("another key"), "{error}");
}

#[tokio::test]
async fn one_certificate_is_not_enough() {
    let (_directory, files, config) = material(Algorithm::EcdsaP256Sha256).await;
    let pem = std::fs::read_to_string(&files.certificate_chain).unwrap();
    let second = pem.rfind("-----BEGIN").unwrap();
    std::fs::write(&files.certificate_chain, &pem[..second]).unwrap();
    let error = refused(config).await;
    assert!(error.contains("at least one certificate above"), "{error}");
}

#[tokio::test]
async fn a_chain_in_the_wrong_order_is_refused() {
    let (_directory, files, config) = material(Algorithm::EcdsaP256Sha256).await;
    let pem = std::fs::read_to_string(&files.certificate_chain).unwrap();
    let (leaf, root) = pem.split_at(pem.rfind("-----BEGIN").unwrap());
    std::fs::write(&files.certificate_chain, root.to_owned() + leaf).unwrap();
    let error = refused(config).await;
    assert!(error.contains("not signed by its issuer"), "{error}");
}

#[tokio::test]
async fn expired_certificates_are_refused() {
    let (_directory, _, config) = material(Algorithm::EcdsaP256Sha256).await;
    let later: SharedClock = Arc::new(ManualClock::at_ms(now_ms() + 11 * 365 * 24 * 3_600_000));
    let error = Service::open(config, later).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Chain(_)) && error.to_string().contains("expired"),
        "{error}"
    );
}

#[tokio::test]
async fn an_intermediate_needs_the_timestamping_usage_unless_that_is_switched_off() {
    let (directory, _, mut config) = material(Algorithm::EcdsaP256Sha256).await;
    let secret = Passphrase::from_file(&directory.path().join("passphrase")).unwrap();
    let (root_key, intermediate_key) = (
        FileSigner::generate(Algorithm::EcdsaP384Sha384).unwrap(),
        FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap(),
    );
    let path = directory.path().join("leaf.key.pem");
    let key = FileSigner::create(&path, Algorithm::EcdsaP256Sha256, &secret).unwrap();
    let root = Profile {
        basic_constraints: Some(CA),
        key_usage: CERT_SIGN,
        extended_key_usage: None,
    };
    let intermediate = certificate(
        &root,
        "intermediate",
        intermediate_key.public_key(),
        "root",
        &root_key,
    )
    .await;
    let leaf = certificate(
        &GOOD,
        "leaf",
        key.public_key(),
        "intermediate",
        &intermediate_key,
    )
    .await;
    let root = certificate(&root, "root", root_key.public_key(), "root", &root_key).await;
    let pem: String = [leaf, intermediate, root]
        .iter()
        .map(|der| certificate_to_pem(der))
        .collect();
    let path_of_chain = directory.path().join("chain.pem");
    std::fs::write(&path_of_chain, pem).unwrap();
    config.certificate_chain = Some(path_of_chain);
    config.key = Some(KeyUri::file(path));
    let error = refused(config.clone()).await;
    assert!(error.contains("an intermediate must have"), "{error}");
    config.enforce_intermediate_eku = false;
    let clock: SharedClock = Arc::new(ManualClock::at_ms(now_ms()));
    assert_eq!(
        Service::open(config, clock)
            .await
            .unwrap()
            .certificate_chain()
            .len(),
        3
    );
}

#[tokio::test]
async fn a_wrong_passphrase_and_a_missing_file_are_named() {
    let (directory, files, config) = material(Algorithm::EcdsaP256Sha256).await;
    let wrong = directory.path().join("wrong");
    std::fs::write(&wrong, "wrong").unwrap();
    let error = refused(Config {
        passphrase: Some(PassphraseSource::File(wrong)),
        ..config.clone()
    })
    .await;
    assert!(error.contains("wrong passphrase"), "{error}");
    let error = refused(Config {
        passphrase: None,
        ..config.clone()
    })
    .await;
    assert!(error.contains("give its passphrase"), "{error}");
    std::fs::remove_file(&files.certificate_chain).unwrap();
    let error = refused(config).await;
    assert!(error.contains("chain.pem"), "{error}");
}

#[tokio::test]
async fn certificates_of_another_purpose_are_refused() {
    let (_directory, files, config) = material(Algorithm::EcdsaP256Sha256).await;
    let root_key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(now_ms() / 1000);
    let template = |role, name: &str| Template {
        role,
        subject: Subject {
            organization: "Test".to_owned(),
            common_name: name.to_owned(),
        },
        not_before: now - Duration::from_secs(60),
        not_after: now + Duration::from_secs(3600),
    };
    let root = prepare(
        &template(Role::Root, "root"),
        root_key.public_key(),
        Issuer::SelfSigned,
    )
    .unwrap();
    let signature = root_key.sign(root.tbs()).await.unwrap();
    let root = root.finish(&signature).unwrap();
    let key = keys::open(
        &KeyUri::file(&files.key),
        Some(&config.passphrase.as_ref().unwrap().read().unwrap()),
    )
    .await
    .unwrap();
    let issuing = template(
        Role::Intermediate {
            purpose: Purpose::CodeSigning,
        },
        "issuing",
    );
    let issuing = prepare(&issuing, key.public_key(), Issuer::Certificate(&root)).unwrap();
    let signature = root_key.sign(issuing.tbs()).await.unwrap();
    let issuing = issuing.finish(&signature).unwrap();
    std::fs::write(
        &files.certificate_chain,
        certificate_to_pem(&issuing) + &certificate_to_pem(&root),
    )
    .unwrap();
    let error = refused(config).await;
    assert!(error.contains("cannot sign timestamps"), "{error}");
}
