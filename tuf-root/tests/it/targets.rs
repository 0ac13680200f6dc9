//! The target files of a deployment, and what older clients make of them.

use std::collections::BTreeMap;

use keys::Algorithm;
use pki::authority::Purpose;
use tuf_root::metadata::{SigstoreCustom, Status, Usage};
use tuf_root::{TargetFile, target_files};
use wire::trust::{
    AuthorityMaterial, LogMaterial, RekorApi, RekorMaterial, ServiceMaterial, SigningConfig,
    TimeRange, TrustedRoot,
};

use crate::material::{chain, epoch, log_key, services, since};

fn by_name(material: &ServiceMaterial) -> BTreeMap<String, TargetFile> {
    let now = since(300 * 86_400).start;
    let files = target_files(material, now).unwrap();
    files
        .into_iter()
        .map(|file| (file.name.to_string(), file))
        .collect()
}

fn custom(file: &TargetFile) -> &SigstoreCustom {
    &file.custom.as_ref().unwrap().sigstore
}

fn certificates(file: &TargetFile) -> Vec<Vec<u8>> {
    let pem = std::str::from_utf8(&file.content).unwrap();
    pki::chain::certificates_from_pem(pem, 10).unwrap()
}

#[tokio::test]
async fn current_clients_find_documents_and_older_ones_single_files() {
    let material = services().await;
    let files = by_name(&material);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "ctfe.pub",
            "fulcio.crt.pem",
            "fulcio_intermediate_v1.crt.pem",
            "fulcio_v1.crt.pem",
            "rekor.pub",
            "signing_config.v0.2.json",
            "trusted_root.json",
            "tsa_intermediate_0.crt.pem",
            "tsa_leaf.crt.pem",
            "tsa_root.crt.pem",
        ]
    );
    TrustedRoot::from_json(&files["trusted_root.json"].content).unwrap();
    SigningConfig::from_json(&files["signing_config.v0.2.json"].content).unwrap();
    assert!(files["trusted_root.json"].custom.is_none());
    for (name, usage, uri) in [
        ("rekor.pub", Usage::Rekor, "http://localhost:3000"),
        ("ctfe.pub", Usage::Ctfe, "http://localhost:3000/ct"),
        ("fulcio_v1.crt.pem", Usage::Fulcio, "http://localhost:5555"),
        (
            "tsa_leaf.crt.pem",
            Usage::Tsa,
            "http://localhost:3004/api/v1/timestamp",
        ),
    ] {
        let custom = custom(&files[name]);
        assert_eq!(
            (custom.usage, custom.status, custom.uri.as_deref()),
            (usage, Status::Active, Some(uri)),
            "{name}"
        );
    }
}

#[tokio::test]
async fn roots_and_intermediates_are_in_files_of_their_own() {
    let mut material = services().await;
    let url = material.fulcio[0].url.clone();
    material.fulcio.push(AuthorityMaterial {
        url,
        chain: chain(Purpose::CodeSigning).await,
        valid_for: Some(since(86_400)),
    });
    let files = by_name(&material);
    let [old, new] = [&material.fulcio[0].chain, &material.fulcio[1].chain];
    assert_eq!(
        certificates(&files["fulcio_v1.crt.pem"]),
        [old[1].clone(), new[1].clone()]
    );
    assert_eq!(
        certificates(&files["fulcio_intermediate_v1.crt.pem"]),
        [old[0].clone(), new[0].clone()]
    );
    assert_eq!(
        certificates(&files["fulcio.crt.pem"]),
        certificates(&files["fulcio_v1.crt.pem"])
    );
}

#[tokio::test]
async fn only_the_timestamp_authority_in_use_is_there_for_older_clients() {
    let mut material = services().await;
    let tsa = |chain: Vec<Vec<u8>>, range: TimeRange| AuthorityMaterial {
        url: "http://localhost:3004/api/v1/timestamp".into(),
        chain,
        valid_for: Some(range),
    };
    let (old, new) = (
        chain(Purpose::TimeStamping).await,
        chain(Purpose::TimeStamping).await,
    );
    let ended = TimeRange {
        end: Some(since(86_400).start),
        ..since(0)
    };
    let names = [
        "tsa_leaf.crt.pem",
        "tsa_intermediate_0.crt.pem",
        "tsa_root.crt.pem",
    ];
    // Published before it signs, and ended when it signed for the last time.
    for (range, expected) in [(since(0), &old), (ended, &new)] {
        let next = tsa(new.clone(), since(86_400));
        material.timestamp = vec![next, tsa(old.clone(), range)];
        let files = by_name(&material);
        let found: Vec<Vec<u8>> = names
            .iter()
            .flat_map(|name| certificates(&files[*name]))
            .collect();
        assert_eq!(found, *expected);
    }
    let files = by_name(&material);
    let root = TrustedRoot::from_json(&files["trusted_root.json"].content).unwrap();
    assert_eq!(root.timestamp_authorities.len(), 2);
}

#[tokio::test]
async fn ended_logs_stay_and_are_marked_and_rekor_v2_is_not_for_older_clients() {
    let mut material = services().await;
    let log = |url: &str, valid_for| LogMaterial {
        url: url.into(),
        key: log_key(Algorithm::EcdsaP256Sha256),
        valid_for,
    };
    let ended = TimeRange {
        end: Some(since(100).start),
        ..TimeRange::since(epoch())
    };
    material.rekor[0].log.valid_for = since(200);
    material.rekor.push(RekorMaterial {
        log: log("http://localhost:3001", ended),
        api: RekorApi::V1,
    });
    material.rekor.push(RekorMaterial {
        log: log("http://localhost:3002", since(300)),
        api: RekorApi::V2 {
            origin: "localhost".into(),
        },
    });
    let files = by_name(&material);
    assert_eq!(custom(&files["rekor.pub"]).status, Status::Active);
    assert_eq!(custom(&files["rekor_2.pub"]).status, Status::Expired);
    assert!(!files.contains_key("rekor_3.pub"));
    let v2 = &files["signing_config_rekor_v2.v0.2.json"].content;
    let v2 = SigningConfig::from_json(v2).unwrap();
    assert_eq!(v2.rekor_tlog_urls[0].url, "http://localhost:3002");
    let v1 = SigningConfig::from_json(&files["signing_config.v0.2.json"].content).unwrap();
    let urls: Vec<&str> = v1.rekor_tlog_urls.iter().map(|s| s.url.as_str()).collect();
    assert_eq!(
        urls,
        ["http://localhost:3000"],
        "nobody writes to an ended log"
    );
    let root = TrustedRoot::from_json(&files["trusted_root.json"].content).unwrap();
    assert_eq!(root.tlogs.len(), 3);
}

#[tokio::test]
async fn the_same_material_gives_the_same_files() {
    let material = services().await;
    assert_eq!(
        target_files(&material, epoch()),
        target_files(&material, epoch())
    );
}
