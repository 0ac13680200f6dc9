//! Spellings of metadata that some client refuses: none of them is read.

use std::sync::LazyLock;

use keys::{Algorithm, FileSigner, Signer as _};
use serde_json::{Value, json};

use super::*;

static SIGNERS: LazyLock<Vec<FileSigner>> = LazyLock::new(|| {
    (0..4)
        .map(|_| FileSigner::generate(Algorithm::EcdsaP256Sha256).unwrap())
        .collect()
});

fn key(index: usize) -> Key {
    Key::new(SIGNERS[index].public_key().clone()).unwrap()
}

fn root() -> Root {
    let role = |index: usize| RoleKeys {
        keyids: vec![key(index).id()],
        threshold: 1,
    };
    Root {
        kind: RootType::Root,
        consistent_snapshot: true,
        expires: Expires::at_secs(1_800_000_000).unwrap(),
        keys: (0..4).map(|i| (key(i).id(), key(i))).collect(),
        roles: Roles {
            root: role(0),
            snapshot: role(1),
            targets: role(2),
            timestamp: role(3),
        },
        spec_version: SpecVersion::V1_0_31,
        version: Version::FIRST,
    }
}

fn targets() -> Targets {
    let custom = SigstoreCustom {
        status: Status::Active,
        uri: Some("http://localhost:3000".to_owned()),
        usage: Usage::Rekor,
    };
    let info = TargetInfo {
        custom: Some(Custom { sigstore: custom }),
        hashes: Hashes {
            sha256: Sha256::of(b"key"),
        },
        length: 3,
    };
    Targets {
        kind: TargetsType::Targets,
        expires: Expires::at_secs(1_800_000_000).unwrap(),
        spec_version: SpecVersion::V1_0_31,
        targets: BTreeMap::from([("rekor.pub".parse().unwrap(), info)]),
        version: Version::FIRST,
    }
}

/// Writes a changed document in the same layout, so that only the change can be the reason.
fn print(value: &Value) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap();
    bytes.push(b'\n');
    bytes
}

/// A name, and a change that must make a document unreadable.
type Row<'a> = (&'a str, &'a dyn Fn(&mut Value));

fn refused<T: Metadata>(document: &Document<T>, rows: &[Row<'_>]) {
    let good: Value = serde_json::from_slice(&document.to_json().unwrap()).unwrap();
    Document::<T>::parse(&print(&good)).unwrap();
    for (name, change) in rows {
        let mut bad = good.clone();
        change(&mut bad);
        assert_ne!(bad, good, "{name}: the row changes nothing");
        assert!(Document::<T>::parse(&print(&bad)).is_err(), "{name}");
    }
}

#[test]
fn root_spellings_outside_the_profile_are_refused() {
    let keyid = key(0).id().to_string();
    refused(
        &Document::unsigned(root()),
        &[
            ("fraction of a second", &|v| {
                v["signed"]["expires"] = json!("2027-01-15T08:00:00.000Z")
            }),
            ("offset", &|v| {
                v["signed"]["expires"] = json!("2027-01-15T08:00:00+00:00")
            }),
            ("year 9999", &|v| {
                v["signed"]["expires"] = json!("9999-12-31T23:59:59Z")
            }),
            ("other specification", &|v| {
                v["signed"]["spec_version"] = json!("2.0.0")
            }),
            ("short specification", &|v| {
                v["signed"]["spec_version"] = json!("1")
            }),
            ("no consistent_snapshot", &|v| {
                drop(
                    v["signed"]
                        .as_object_mut()
                        .unwrap()
                        .remove("consistent_snapshot"),
                )
            }),
            ("mirrors role", &|v| {
                v["signed"]["roles"]["mirrors"] = v["signed"]["roles"]["root"].clone()
            }),
            ("unknown member", &|v| {
                v["signed"]["x-comment"] = json!("text")
            }),
            ("unknown member outside", &|v| v["comment"] = json!("text")),
            ("version 0", &|v| v["signed"]["version"] = json!(0)),
            ("version as a float", &|v| {
                v["signed"]["version"] = json!(1.0)
            }),
            ("version beyond bounds", &|v| {
                v["signed"]["version"] = json!(1_u64 << 53)
            }),
            ("RSA key", &|v| {
                v["signed"]["keys"][&keyid]["keytype"] = json!("rsa")
            }),
            ("key with an owner", &|v| {
                v["signed"]["keys"][&keyid]["x-owner"] = json!("someone")
            }),
            ("upper-case key id", &|v| {
                v["signed"]["roles"]["root"]["keyids"][0] = json!(keyid.to_uppercase())
            }),
            ("other type", &|v| v["signed"]["_type"] = json!("Root")),
        ],
    );
}

#[test]
fn targets_spellings_outside_the_profile_are_refused() {
    refused(
        &Document::unsigned(targets()),
        &[
            ("null delegations", &|v| {
                v["signed"]["delegations"] = json!(null)
            }),
            ("delegations", &|v| {
                v["signed"]["delegations"] = json!({"keys": {}, "roles": []})
            }),
            ("null custom", &|v| {
                v["signed"]["targets"]["rekor.pub"]["custom"] = json!(null)
            }),
            ("empty custom", &|v| {
                v["signed"]["targets"]["rekor.pub"]["custom"] = json!({})
            }),
            ("foreign custom", &|v| {
                v["signed"]["targets"]["rekor.pub"]["custom"]["other"] = json!(1)
            }),
            ("unknown usage", &|v| {
                v["signed"]["targets"]["rekor.pub"]["custom"]["sigstore"]["usage"] =
                    json!("Rekor v2")
            }),
            ("second hash", &|v| {
                v["signed"]["targets"]["rekor.pub"]["hashes"]["sha512"] = json!("00")
            }),
            ("no hash", &|v| {
                v["signed"]["targets"]["rekor.pub"]["hashes"] = json!({})
            }),
            ("upper-case hash", &|v| {
                let hash = Sha256::of(b"key").to_string().to_uppercase();
                v["signed"]["targets"]["rekor.pub"]["hashes"]["sha256"] = json!(hash);
            }),
            ("folder", &|v| {
                let info = v["signed"]["targets"]["rekor.pub"].clone();
                v["signed"]["targets"] = json!({ "keys/rekor.pub": info });
            }),
        ],
    );
}

#[test]
fn only_the_exact_bytes_are_read() {
    let good = Document::unsigned(targets()).to_json().unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    for bad in [
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("\u{feff}{text}"),
        text.replace("\"version\": 1", "\"version\": 1,\n    \"version\": 1"),
        text.replace("\"version\": 1", "\"version\": 1e0"),
        text.replace("rekor.pub", "rekor\\u002epub"),
    ] {
        assert_ne!(bad, text);
        assert!(Document::<Targets>::parse(bad.as_bytes()).is_err(), "{bad}");
    }
    assert_eq!(
        Document::<Targets>::parse(&good)
            .unwrap()
            .to_json()
            .unwrap(),
        good
    );
}

#[tokio::test]
async fn signatures_are_checked_when_added_and_sorted_when_written() {
    let root = root();
    let mut document = Document::unsigned(root.clone());
    let payload = document.payload().unwrap();
    let foreign = SIGNERS[1].sign(&payload).await.unwrap();
    assert_eq!(
        document.add_signature(&key(0), foreign),
        Err(SignatureError::Invalid(key(0).id()))
    );
    for index in [3, 0, 2] {
        document
            .add_signature(&key(index), SIGNERS[index].sign(&payload).await.unwrap())
            .unwrap();
    }
    let read = Document::<Root>::parse(&document.to_json().unwrap()).unwrap();
    assert_eq!(read, document);
    assert_eq!(read.payload().unwrap(), payload);
    let value: Value = serde_json::from_slice(&document.to_json().unwrap()).unwrap();
    let ids: Vec<&str> = value["signatures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["keyid"].as_str().unwrap())
        .collect();
    assert!(ids.is_sorted());

    let twice = {
        let mut value = value.clone();
        let first = value["signatures"][0].clone();
        value["signatures"].as_array_mut().unwrap().insert(0, first);
        print(&value)
    };
    assert!(
        Document::<Root>::parse(&twice)
            .unwrap_err()
            .to_string()
            .contains("two signatures")
    );
}

#[tokio::test]
async fn a_key_listed_twice_counts_once() {
    let mut root = root();
    root.roles.root = RoleKeys {
        keyids: vec![key(0).id(), key(0).id()],
        threshold: 2,
    };
    let mut document = Document::unsigned(root.clone());
    let payload = document.payload().unwrap();
    document
        .add_signature(&key(0), SIGNERS[0].sign(&payload).await.unwrap())
        .unwrap();
    let error = document.verify(&root.keys, &root.roles.root).unwrap_err();
    assert!(error.to_string().contains("1 of 2"), "{error}");
}

#[test]
fn a_threshold_of_zero_is_never_met() {
    let mut root = root();
    root.roles.root.threshold = 0;
    assert!(
        Document::unsigned(root.clone())
            .verify(&root.keys, &root.roles.root)
            .is_err()
    );
}

#[test]
fn oversized_metadata_is_neither_written_nor_read() {
    let info = |n: u64| TargetInfo {
        custom: None,
        hashes: Hashes {
            sha256: Sha256::of(&n.to_be_bytes()),
        },
        length: n,
    };
    let mut big = targets();
    big.targets = (0..8000)
        .map(|n| (format!("target-{n}").parse().unwrap(), info(n)))
        .collect();
    assert!(matches!(
        Document::unsigned(big).to_json(),
        Err(DocumentError::TooLong { .. })
    ));
    let long = vec![b' '; Timestamp::MAX_BYTES + 1];
    assert!(matches!(
        Document::<Timestamp>::parse(&long),
        Err(DocumentError::TooLong { .. })
    ));
}
