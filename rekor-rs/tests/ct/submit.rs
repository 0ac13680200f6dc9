use std::sync::Arc;

use keys::{Algorithm, FileSigner, Signer as _};
use pki::certificate::Certificate;
use pki::precert;
use pki::sct::{CtEntry, SignedCertificateTimestamp, parse_digitally_signed, signing_input};
use rekor_rs::ct::{CtConfig, Policy};
use serde_json::{Value, json};

use crate::ca::{Ca, at, leaf};
use crate::place::{Place, on_every_store};
use crate::server::{Server, bytes, p256};

on_every_store! {
    a_precertificate_gets_a_timestamp_that_fits_the_certificate,
    openssl_verifies_a_timestamp,
    a_final_certificate_can_be_submitted_too,
    the_root_may_be_left_out_and_is_recorded_all_the_same,
    chains_that_lead_nowhere_are_refused,
    a_leaf_cannot_issue,
    a_certificate_for_another_purpose_is_refused,
    precertificates_and_certificates_have_calls_of_their_own,
    a_wrong_poison_is_refused_by_both_calls,
    a_precertificate_of_a_precertificate_signing_certificate_is_refused,
    malformed_submissions_are_refused,
    a_body_that_is_too_long_is_refused,
    the_wrong_method_and_unknown_calls_are_refused,
    a_precertificate_keeps_its_timestamp_when_it_is_submitted_again,
    a_log_may_be_limited_to_a_period,
    expiry_is_judged_only_if_configured,
    long_validity_can_be_refused,
    nothing_is_promised_before_it_is_durable_and_nothing_durable_is_lost,
}

/// The SCT in an answer to a submission of `precertificate`.
fn sct(answer: &Value) -> SignedCertificateTimestamp {
    SignedCertificateTimestamp {
        log_id: bytes(&answer["id"]).try_into().unwrap(),
        timestamp_ms: answer["timestamp"].as_u64().unwrap(),
        extensions: bytes(&answer["extensions"]),
        signature: parse_digitally_signed(&bytes(&answer["signature"]))
            .unwrap()
            .to_vec(),
    }
}

fn issuer_key_hash(ca: &Ca) -> [u8; 32] {
    crypto::sha256(Certificate::from_der(&ca.intermediate).unwrap().spki())
}

async fn refused(server: &Server, call: &str, chain: &[Vec<u8>], reason: &str) {
    let (status, body) = server.submit(call, chain).await;
    assert_eq!(status, 400, "{body}");
    let message = body["error_message"].as_str().unwrap();
    assert!(message.contains(reason), "{message}");
    assert_eq!(server.size().await, 0);
}

async fn a_precertificate_gets_a_timestamp_that_fits_the_certificate(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let leaf = leaf();
    let precertificate = ca.precertificate(&leaf).await;
    let (status, answer) = server
        .add_pre_chain(&ca.chain(precertificate.clone()))
        .await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["sct_version"], 0);
    assert_eq!(answer["extensions"], "");
    let sct = sct(&answer);
    assert_eq!(sct.log_id, server.log.public_key().key_id());
    assert_eq!(sct.timestamp_ms, crate::ca::NOW_MS);

    // The certificate with this timestamp, and what a client makes of it.
    let unsigned = leaf
        .certificate(&ca.intermediate, std::slice::from_ref(&sct))
        .unwrap();
    let signature = ca.key.sign(unsigned.tbs()).await.unwrap();
    let certificate = unsigned.finish(&signature).unwrap();
    let tbs = precert::tbs_without_sct_list(&certificate).unwrap();
    assert_eq!(tbs, precert::tbs_without_poison(&precertificate).unwrap());
    let entry = CtEntry::Precert {
        issuer_key_hash: issuer_key_hash(&ca),
        tbs: &tbs,
    };
    sct.verify(entry, server.log.public_key()).unwrap();

    // The log holds what was signed.
    let (_, entries) = server.get("get-entries?start=0&end=0").await;
    let signed = signing_input(entry, sct.timestamp_ms, b"").unwrap();
    assert_eq!(bytes(&entries["entries"][0]["leaf_input"]), signed);
}

async fn openssl_verifies_a_timestamp(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let precertificate = ca.precertificate(&leaf()).await;
    let (_, answer) = server
        .add_pre_chain(&ca.chain(precertificate.clone()))
        .await;
    let sct = sct(&answer);
    let tbs = precert::tbs_without_poison(&precertificate).unwrap();
    let entry = CtEntry::Precert {
        issuer_key_hash: issuer_key_hash(&ca),
        tbs: &tbs,
    };
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let key = write("key", server.log.public_key().to_pem().as_bytes());
    let signature = write("signature", &sct.signature);
    let message = write(
        "message",
        &signing_input(entry, sct.timestamp_ms, b"").unwrap(),
    );
    let output = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(key)
        .arg("-signature")
        .arg(signature)
        .arg(message)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Verified OK\n");
}

async fn a_final_certificate_can_be_submitted_too(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let certificate = ca.certificate(&leaf()).await;
    let (status, answer) = server
        .submit("add-chain", &ca.chain(certificate.clone()))
        .await;
    assert_eq!(status, 200, "{answer}");
    sct(&answer)
        .verify(CtEntry::X509(&certificate), server.log.public_key())
        .unwrap();
}

async fn the_root_may_be_left_out_and_is_recorded_all_the_same(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let (with, without) = (
        ca.precertificate(&leaf()).await,
        ca.precertificate(&leaf()).await,
    );
    let (status, body) = server.add_pre_chain(&ca.chain(with.clone())).await;
    assert_eq!(status, 200, "{body}");
    let (status, body) = server
        .add_pre_chain(&[without.clone(), ca.intermediate.clone()])
        .await;
    assert_eq!(status, 200, "{body}");
    let u24 = |der: &[u8]| [&u32::try_from(der.len()).unwrap().to_be_bytes()[1..], der].concat();
    let chain = [u24(&ca.intermediate), u24(&ca.root)].concat();
    let (_, entries) = server.get("get-entries?start=0&end=1").await;
    for (index, precertificate) in [with, without].iter().enumerate() {
        let expected = [u24(precertificate), u24(&chain)].concat();
        assert_eq!(bytes(&entries["entries"][index]["extra_data"]), expected);
    }
}

async fn chains_that_lead_nowhere_are_refused(place: Place) {
    let (ca, stranger) = (Ca::new().await, Ca::new().await);
    let server = Server::start(place, &ca).await;
    let add = "add-pre-chain";
    let ours = ca.precertificate(&leaf()).await;
    let theirs = stranger.precertificate(&leaf()).await;
    let [intermediate, root] = [ca.intermediate.clone(), ca.root.clone()];
    refused(
        &server,
        add,
        &stranger.chain(theirs.clone()),
        "root that this log accepts",
    )
    .await;
    refused(
        &server,
        add,
        &[theirs.clone(), stranger.intermediate.clone()],
        "root that this log accepts",
    )
    .await;
    // The right names, another key.
    refused(
        &server,
        add,
        &[theirs, intermediate.clone(), root.clone()],
        "not signed by its issuer",
    )
    .await;
    // Out of order, with a stranger, twice, or incomplete.
    refused(
        &server,
        add,
        &[ours.clone(), root.clone(), intermediate.clone()],
        "certificate",
    )
    .await;
    refused(
        &server,
        add,
        &[
            ours.clone(),
            intermediate.clone(),
            root.clone(),
            stranger.root.clone(),
        ],
        "root that this log",
    )
    .await;
    refused(
        &server,
        add,
        &[
            ours.clone(),
            intermediate.clone(),
            intermediate.clone(),
            root.clone(),
        ],
        "not signed",
    )
    .await;
    refused(&server, add, &[ours.clone(), root.clone()], "not signed").await;
    refused(
        &server,
        add,
        std::slice::from_ref(&ours),
        "root that this log accepts",
    )
    .await;
    refused(&server, add, &vec![ours; 11], "too long").await;
}

async fn a_leaf_cannot_issue(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    // Signed by a leaf's key under a leaf's certificate.
    let leaf_key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
    let mut issuer = leaf();
    issuer.public_key = leaf_key.public_key().clone();
    let issuer = ca.certificate(&issuer).await;
    let unsigned = leaf().precertificate(&issuer).unwrap();
    let signature = leaf_key.sign(unsigned.tbs()).await.unwrap();
    let chain = [vec![unsigned.finish(&signature).unwrap()], ca.chain(issuer)].concat();
    refused(
        &server,
        "add-pre-chain",
        &chain,
        "not a certificate authority",
    )
    .await;
}

async fn a_certificate_for_another_purpose_is_refused(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let mail = ca
        .altered_precertificate("06082b06010505070303", "06082b06010505070304")
        .await;
    refused(&server, "add-pre-chain", &ca.chain(mail), "codeSigning").await;
    // Without the extension: it becomes one that nobody knows.
    let none = ca.altered_precertificate("0603551d25", "0603551d7f").await;
    refused(&server, "add-pre-chain", &ca.chain(none), "codeSigning").await;
}

async fn precertificates_and_certificates_have_calls_of_their_own(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let (precertificate, certificate) = (
        ca.precertificate(&leaf()).await,
        ca.certificate(&leaf()).await,
    );
    refused(
        &server,
        "add-chain",
        &ca.chain(precertificate),
        "add-pre-chain",
    )
    .await;
    refused(
        &server,
        "add-pre-chain",
        &ca.chain(certificate),
        "add-chain",
    )
    .await;
}

async fn a_wrong_poison_is_refused_by_both_calls(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let poison = "060a2b06010401d6790204030101ff04020500";
    for (from, to, reason) in [
        (
            poison,
            "060a2b06010401d67902040301010004020500",
            "not critical or not NULL",
        ),
        (
            poison,
            "060a2b06010401d6790204030101ff04020400",
            "not critical or not NULL",
        ),
        (
            poison,
            "060a2b06010401d6790204030101ff04020100",
            "not critical or not NULL",
        ),
        (
            "060a2b0601040183bf300101",
            "060a2b06010401d679020403",
            "occurs twice",
        ),
    ] {
        let wrong = ca.altered_precertificate(from, to).await;
        for call in ["add-pre-chain", "add-chain"] {
            refused(&server, call, &ca.chain(wrong.clone()), reason).await;
        }
    }
}

async fn a_precertificate_of_a_precertificate_signing_certificate_is_refused(place: Place) {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        SigningKey as _,
    };
    let [root_key, signing_key] = [(); 2].map(|()| KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&root_key).unwrap();
    let issuer = rcgen::Issuer::from_params(&params, &root_key);
    let mut params = params.clone();
    params
        .distinguished_name
        .push(rcgen::DnType::OrganizationName, "precertificates");
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::CodeSigning,
        ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 11129, 2, 4, 4]),
    ];
    let signing = params.signed_by(&signing_key, &issuer).unwrap();
    let unsigned = leaf().precertificate(signing.der()).unwrap();
    let signature = signing_key.sign(unsigned.tbs()).unwrap();
    let precertificate = unsigned.finish(&signature).unwrap();

    let config = CtConfig {
        roots: vec![root.der().to_vec()],
        ..CtConfig::default()
    };
    let server = Server::start_with(place, config, p256()).await;
    let chain = [precertificate, signing.der().to_vec(), root.der().to_vec()];
    refused(&server, "add-pre-chain", &chain, "precertificate signing").await;
}

async fn malformed_submissions_are_refused(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"chain":"x"}"#,
        r#"{"chain":[]}"#,
        r#"{"chain":["!"]}"#,
        r#"{"chain":["AA"]}"#,
    ] {
        let response = server.post("add-pre-chain", body).await;
        assert_eq!(response.status(), 400, "{body}");
        let answer: Value = response.json().await.unwrap();
        assert!(answer["error_message"].is_string());
    }
    let precertificate = ca.precertificate(&leaf()).await;
    let trailing = [precertificate.clone(), vec![0]].concat();
    refused(
        &server,
        "add-pre-chain",
        &ca.chain(trailing),
        "trailing bytes",
    )
    .await;
    let mut flipped = precertificate;
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    refused(
        &server,
        "add-pre-chain",
        &ca.chain(flipped),
        "not signed by its issuer",
    )
    .await;
}

async fn a_body_that_is_too_long_is_refused(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let response = server.post("add-pre-chain", vec![b' '; 512_001]).await;
    assert_eq!(response.status(), 413);
    let answer: Value = response.json().await.unwrap();
    assert!(answer["error_message"].is_string());
    // At the limit, it is read.
    let precertificate = ca.precertificate(&leaf()).await;
    let chain: Vec<String> = ca
        .chain(precertificate)
        .iter()
        .map(|der| base64_of(der))
        .collect();
    let mut body = json!({ "chain": chain }).to_string().into_bytes();
    body.resize(512_000, b' ');
    assert_eq!(server.post("add-pre-chain", body).await.status(), 200);
}

fn base64_of(der: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(der)
}

async fn the_wrong_method_and_unknown_calls_are_refused(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    assert_eq!(server.get("add-chain").await.0, 405);
    assert_eq!(server.submit("get-sth", &[]).await.0, 405);
    assert_eq!(server.get("get-anything").await.0, 404);
}

async fn a_precertificate_keeps_its_timestamp_when_it_is_submitted_again(place: Place) {
    let ca = Ca::new().await;
    let server = Server::start(place, &ca).await;
    let leaf = leaf();
    let precertificate = ca.precertificate(&leaf).await;
    let (_, first) = server
        .add_pre_chain(&ca.chain(precertificate.clone()))
        .await;
    server.clock.advance(std::time::Duration::from_secs(90));
    // Once more, and once without its root: the same entry.
    for chain in [
        ca.chain(precertificate.clone()),
        vec![precertificate.clone(), ca.intermediate.clone()],
    ] {
        let (status, again) = server.add_pre_chain(&chain).await;
        assert_eq!(status, 200, "{again}");
        assert_eq!(again["timestamp"], first["timestamp"]);
        let tbs = precert::tbs_without_poison(&precertificate).unwrap();
        let entry = CtEntry::Precert {
            issuer_key_hash: issuer_key_hash(&ca),
            tbs: &tbs,
        };
        sct(&again).verify(entry, server.log.public_key()).unwrap();
    }
    assert_eq!(server.size().await, 1);

    // The same TBSCertificate under another signature is another entry.
    let other = ca.precertificate(&leaf).await;
    assert_ne!(other, precertificate);
    let (_, second) = server.add_pre_chain(&ca.chain(other)).await;
    assert_eq!(
        second["timestamp"].as_u64().unwrap(),
        first["timestamp"].as_u64().unwrap() + 90_000
    );
    assert_eq!(server.size().await, 2);
}

async fn a_log_may_be_limited_to_a_period(place: Place) {
    let ca = Ca::new().await;
    let policy = Policy {
        not_after_start: Some(at(300)),
        not_after_limit: Some(at(600)),
        ..Policy::default()
    };
    let server = Server::start_policy(place, &ca, policy).await;
    for (end, accepted) in [(600, false), (599, true), (300, true), (299, false)] {
        let mut leaf = leaf();
        leaf.not_after = at(end);
        let (status, body) = server
            .add_pre_chain(&ca.chain(ca.precertificate(&leaf).await))
            .await;
        assert_eq!(status == 200, accepted, "{end}: {body}");
        assert_eq!(status == 400, !accepted, "{end}: {body}");
    }
}

async fn expiry_is_judged_only_if_configured(place: Place) {
    let ca = Ca::new().await;
    let mut expired = leaf();
    (expired.not_before, expired.not_after) = (at(-3600), at(-1));
    let expired = ca.chain(ca.precertificate(&expired).await);
    let lenient = Server::start(place, &ca).await;
    assert_eq!(lenient.add_pre_chain(&expired).await.0, 200);
    let strict = Server::start_policy(
        place,
        &ca,
        Policy {
            reject_expired: true,
            ..Policy::default()
        },
    )
    .await;
    refused(&strict, "add-pre-chain", &expired, "expired").await;
    assert_eq!(
        strict
            .add_pre_chain(&ca.chain(ca.precertificate(&leaf()).await))
            .await
            .0,
        200
    );
}

async fn long_validity_can_be_refused(place: Place) {
    let ca = Ca::new().await;
    let policy = Policy {
        longest_validity: Some(std::time::Duration::from_secs(600)),
        ..Policy::default()
    };
    let server = Server::start_policy(place, &ca, policy).await;
    assert_eq!(
        server
            .add_pre_chain(&ca.chain(ca.precertificate(&leaf()).await))
            .await
            .0,
        200
    );
    let mut long = leaf();
    long.not_after = at(601);
    assert_eq!(
        server
            .add_pre_chain(&ca.chain(ca.precertificate(&long).await))
            .await
            .0,
        400
    );
}

async fn nothing_is_promised_before_it_is_durable_and_nothing_durable_is_lost(place: Place) {
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Signs heads always, timestamps only when told.
    #[derive(Debug)]
    struct Unreliable(FileSigner, AtomicBool);

    #[async_trait::async_trait]
    impl keys::Signer for Unreliable {
        fn algorithm(&self) -> Algorithm {
            self.0.algorithm()
        }

        fn public_key(&self) -> &crypto::PublicKey {
            self.0.public_key()
        }

        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, keys::SignError> {
            if message.starts_with(&[0, 0]) && !self.1.load(Ordering::Acquire) {
                return Err(keys::SignError::Unavailable("unplugged".into()));
            }
            self.0.sign(message).await
        }
    }

    let ca = Ca::new().await;
    let key = FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap();
    let signer = Arc::new(Unreliable(key, AtomicBool::new(false)));
    let config = CtConfig {
        roots: vec![ca.root.clone()],
        ..CtConfig::default()
    };
    let server = Server::start_with(place, config, Arc::<Unreliable>::clone(&signer)).await;
    let chain = ca.chain(ca.precertificate(&leaf()).await);
    let response = server
        .post(
            "add-pre-chain",
            json!({ "chain": chain.iter().map(|der| base64_of(der)).collect::<Vec<_>>() })
                .to_string(),
        )
        .await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    assert!(!response.text().await.unwrap().contains("unplugged"));
    // The entry is there: it was durable before the signature was tried.
    assert_eq!(server.size().await, 1);

    server.clock.advance(std::time::Duration::from_secs(5));
    signer.1.store(true, Ordering::Release);
    let (status, answer) = server.add_pre_chain(&chain).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["timestamp"], crate::ca::NOW_MS);
    assert_eq!(server.size().await, 1);
}
