//! Artifacts that verify, with bytes changed: parsers of packages, archives, tokens and signatures
//! must refuse or accept them, never panic or run away.

use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Limits, Purpose, Submission};

const LIMITS: Limits = Limits {
    attestation: 1024,
    package_metadata: 1 << 20,
    now: SystemTime::UNIX_EPOCH,
};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/fixtures/", $name)).as_slice()
    };
}

/// Kind, `spec`, where in it the artifact goes, the artifact, and whether it verifies.
fn artifacts() -> Vec<(&'static str, Value, &'static str, Vec<u8>, bool)> {
    let b64 = wire::rekor::encode_base64;
    let ssh = |signature: &[u8]| {
        json!({
            "data": {"content": b64(b"hello\n")},
            "signature": {"format": "ssh", "content": b64(signature),
                "publicKey": {"content": b64(fixture!("ssh-ed25519.pub"))}},
        })
    };
    let jar = json!({"archive": {"content": ""}});
    let key = b64(fixture!("fixture-apk.pem"));
    let apk = json!({"publicKey": {"content": key}, "package": {"content": ""}});
    let minisign = json!({
        "data": {"content": b64(b"x")},
        "signature": {"format": "minisign", "content": b64(b"c\nRWQxMjM0NTY3OA==\n"),
            "publicKey": {"content": b64(b"RWQxMjM0NTY3OA==")}},
    });
    let cose = json!({"message": "", "publicKey": key, "data": {}});
    let message = b"\xd2\x84\x44\xa1\x01\x38\x24\xa1\x04\x41k\x45hello\x58\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let root = br#"{"signed":{"_type":"root","version":1,"expires":"2030-01-01T00:00:00Z","keys":{"a":{"keytype":"ed25519","keyval":{"public":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"}}},"roles":{"root":{"keyids":["a"],"threshold":1}}},"signatures":[{"keyid":"a","sig":"00"}]}"#;
    let tuf = json!({"metadata": {"content": b64(root)}, "root": {"content": ""}});
    let mut artifacts = vec![
        (
            "rfc3161",
            json!({"tsr": {"content": ""}}),
            "/tsr/content",
            fixture!("timestamp.tsr").to_vec(),
            true,
        ),
        (
            "jar",
            jar.clone(),
            "/archive/content",
            fixture!("ec.jar").to_vec(),
            true,
        ),
        (
            "jar",
            jar,
            "/archive/content",
            fixture!("sections.jar").to_vec(),
            true,
        ),
        (
            "alpine",
            apk,
            "/package/content",
            fixture!("fixture.apk").to_vec(),
            true,
        ),
        (
            "rekord",
            ssh(fixture!("ssh-ed25519.sig")),
            "/signature/content",
            fixture!("ssh-ed25519.sig").to_vec(),
            true,
        ),
        (
            "rekord",
            ssh(fixture!("ssh-ed25519.sig")),
            "/signature/publicKey/content",
            fixture!("ssh-rsa.pub").to_vec(),
            false,
        ),
        (
            "rekord",
            minisign,
            "/signature/publicKey/content",
            b"untrusted comment: x\nRWQxMjM0NTY3OA==\n".to_vec(),
            false,
        ),
        ("cose", cose, "/message", message.to_vec(), false),
        ("tuf", tuf, "/root/content", root.to_vec(), false),
    ];
    #[cfg(feature = "openpgp")]
    artifacts.extend(openpgp_artifacts());
    artifacts
}

#[cfg(feature = "openpgp")]
fn openpgp_artifacts() -> Vec<(&'static str, Value, &'static str, Vec<u8>, bool)> {
    macro_rules! fixture {
        ($name:literal) => {
            include_bytes!(concat!("../../../crates/openpgp/fixtures/", $name)).as_slice()
        };
    }
    let b64 = wire::rekor::encode_base64;
    let (key, signature) = (fixture!("ed25519.gpg"), fixture!("ed25519.sig"));
    let rekord = json!({
        "data": {"content": b64(b"hello\n")},
        "signature": {"format": "pgp", "content": b64(signature), "publicKey": {"content": b64(key)}},
    });
    let rpm = json!({"publicKey": {"content": b64(key)}, "package": {"content": ""}});
    let helm =
        json!({"publicKey": {"content": b64(key)}, "chart": {"provenance": {"content": ""}}});
    let artifact = |kind, spec: &Value, place, artifact: &[u8]| {
        (kind, spec.clone(), place, artifact.to_vec(), true)
    };
    vec![
        artifact("rekord", &rekord, "/signature/content", signature),
        artifact("rekord", &rekord, "/signature/publicKey/content", key),
        artifact("rpm", &rpm, "/package/content", fixture!("ed25519.rpm")),
        artifact(
            "helm",
            &helm,
            "/chart/provenance/content",
            fixture!("helm-ed25519.prov"),
        ),
    ]
}

fn verifies(kind: &str, spec: &Value, place: &str, artifact: &[u8]) -> bool {
    let mut spec = spec.clone();
    *spec.pointer_mut(place).unwrap() = wire::rekor::encode_base64(artifact).into();
    taken(kind, &spec)
}

fn taken(kind: &str, spec: &Value) -> bool {
    let json = json!({"kind": kind, "apiVersion": "0.0.1", "spec": spec}).to_string();
    Submission::parse(json.as_bytes())
        .and_then(|submission| submission.verify(Purpose::Insert, &LIMITS))
        .is_ok()
}

#[test]
fn the_artifacts_are_looked_at_to_the_end() {
    for (kind, spec, place, artifact, verified) in artifacts() {
        assert_eq!(
            verifies(kind, &spec, place, &artifact),
            verified,
            "{kind} {place}"
        );
    }
}

#[test]
fn members_of_any_type_are_answered() {
    for (kind, spec, _, _, _) in artifacts() {
        for place in spec.as_object().unwrap().keys() {
            for other in [
                json!(null),
                json!(7),
                json!(""),
                json!([]),
                json!({}),
                json!({"content": {}}),
            ] {
                let mut spec = spec.clone();
                spec[place] = other;
                assert!(!taken(kind, &spec), "{kind} {place}");
            }
        }
    }
}

#[test]
fn artifacts_cut_short_are_refused() {
    for (kind, spec, place, artifact, _) in artifacts() {
        // The line of an SSH key may end anywhere after its base64.
        for length in (0..artifact.len().saturating_sub(40)).step_by(7) {
            assert!(
                !verifies(kind, &spec, place, &artifact[..length]),
                "{kind} {length}"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_change_of_an_artifact_is_too_strange(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut artifacts = artifacts();
        let which = which.index(artifacts.len());
        let (kind, spec, place, mut artifact, _) = artifacts.swap_remove(which);
        for (at, byte) in changes {
            let at = at.index(artifact.len());
            artifact[at] = byte;
        }
        let started = Instant::now();
        let _refused_or_not = verifies(kind, &spec, place, &artifact);
        prop_assert!(started.elapsed() < Duration::from_secs(10));
    }
}
