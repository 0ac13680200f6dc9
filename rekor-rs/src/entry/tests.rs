use proptest::prelude::*;

use super::*;

fn refusal(json: &str) -> EntryError {
    Submission::parse(json.as_bytes()).err().unwrap()
}

#[test]
fn kind_is_asked_for_first() {
    for json in [
        "{}",
        "null",
        r#"{"kind":""}"#,
        r#"{"kind":null,"apiVersion":"x"}"#,
    ] {
        assert_eq!(refusal(json), EntryError::Required("kind"), "{json}");
    }
    assert_eq!(
        refusal(r#"{"kind":"nope"}"#).to_string(),
        r#"invalid kind value: "nope""#
    );
}

#[test]
fn malformed_json_and_other_types_are_refused() {
    for json in [
        "[",
        "[]",
        r#"["hashedrekord","0.0.1",{}]"#,
        "7",
        r#""x""#,
        "{",
        r#"{"kind":7}"#,
        "nul",
    ] {
        assert!(matches!(refusal(json), EntryError::Json(_)), "{json}");
    }
}

#[test]
fn versions_are_checked_for_syntax_then_for_existence() {
    let with = |kind: &str, version: &str| {
        format!(r#"{{"kind":"{kind}","apiVersion":"{version}","spec":{{}}}}"#)
    };
    assert_eq!(
        refusal(&with("hashedrekord", "x")),
        EntryError::VersionSyntax
    );
    assert_eq!(
        refusal(&with("hashedrekord", "0.0.2")).to_string(),
        "hashedrekord implementation for version '0.0.2' not found: unable to locate entry for version 0.0.2"
    );
    #[cfg(not(feature = "openpgp"))]
    assert!(
        refusal(&with("rpm", "0.0.1"))
            .to_string()
            .contains("built without OpenPGP")
    );
    assert!(matches!(
        refusal(&with("rpm", "9.0.1")),
        EntryError::UnknownVersion { .. }
    ));
    assert!(matches!(
        refusal(&with("intoto", "0.0.3")),
        EntryError::UnknownVersion { .. }
    ));
    assert!(Submission::parse(with("intoto", "0.0.2").as_bytes()).is_ok());
}

#[test]
fn semantic_versions_are_recognised() {
    for good in [
        "0.0.1",
        "10.20.30",
        "1.0.0-alpha.1",
        "1.0.0-0a.b+build.01",
        "1.0.0+x-y",
    ] {
        assert!(is_semantic_version(good), "{good}");
    }
    for bad in [
        "", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "1.0.0+", "v1.0.0", "1.0.x",
    ] {
        assert!(!is_semantic_version(bad), "{bad}");
    }
}

#[test]
fn terms_are_unique_and_do_not_depend_on_case() {
    let mut terms = Terms::default();
    terms.add("Dev@Corp.Example");
    terms.add("dev@corp.example");
    terms.add_digest("sha256", "AB");
    assert_eq!(terms.into_keys().len(), 2);
}

/// A submission of every kind, none of which verifies as it stands.
fn submissions() -> Vec<String> {
    let pem = wire::rekor::encode_base64(
        b"-----BEGIN PUBLIC KEY-----\n\
          MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n\
          6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n\
          -----END PUBLIC KEY-----\n",
    );
    let digest = format!(r#"{{"algorithm":"sha256","value":"{}"}}"#, "ab".repeat(32));
    let envelope =
        r#"{\"payload\":\"e30=\",\"payloadType\":\"t\",\"signatures\":[{\"sig\":\"aGk=\"}]}"#;
    let specs = [
        (
            "hashedrekord",
            "0.0.1",
            format!(
                r#"{{"data":{{"hash":{digest}}},"signature":{{"content":"aGk=","publicKey":{{"content":"{pem}"}}}}}}"#
            ),
        ),
        (
            "dsse",
            "0.0.1",
            format!(r#"{{"proposedContent":{{"envelope":"{envelope}","verifiers":["{pem}"]}}}}"#),
        ),
        (
            "dsse",
            "0.0.1",
            format!(
                r#"{{"envelopeHash":{digest},"payloadHash":{digest},"signatures":[{{"signature":"aGk=","verifier":"{pem}"}}]}}"#
            ),
        ),
        (
            "intoto",
            "0.0.1",
            format!(
                r#"{{"content":{{"envelope":"{envelope}","hash":{digest}}},"publicKey":"{pem}"}}"#
            ),
        ),
        (
            "intoto",
            "0.0.2",
            format!(
                r#"{{"content":{{"envelope":{{"payload":"ZTMwPQ==","payloadType":"t","signatures":[{{"sig":"YUdrPQ==","publicKey":"{pem}"}}]}},"hash":{digest}}}}}"#
            ),
        ),
    ];
    specs
        .into_iter()
        .map(|(kind, version, spec)| {
            format!(r#"{{"kind":"{kind}","apiVersion":"{version}","spec":{spec}}}"#)
        })
        .collect()
}

const LIMITS: Limits = Limits {
    attestation: 1024,
    package_metadata: 1 << 20,
    now: SystemTime::UNIX_EPOCH,
};

fn look_at(json: &[u8]) {
    for purpose in [Purpose::Insert, Purpose::Find] {
        if let Ok(submission) = Submission::parse(json) {
            let _refused_or_not = submission.verify(purpose, &LIMITS);
        }
    }
}

#[test]
fn every_member_may_be_missing_or_of_another_type() {
    for text in submissions() {
        let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut paths = Vec::new();
        members(&whole, String::new(), &mut paths);
        assert!(paths.len() > 5);
        for path in paths {
            for other in ["null", "7", "\"\"", "[]", "{}", "[null]", "\"-----BEGIN\""] {
                let mut changed = whole.clone();
                *changed.pointer_mut(&path).unwrap() = serde_json::from_str(other).unwrap();
                look_at(changed.to_string().as_bytes());
            }
        }
    }
}

fn members(value: &serde_json::Value, path: String, paths: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(object) => {
            object
                .iter()
                .for_each(|(name, value)| members(value, format!("{path}/{name}"), paths));
        }
        serde_json::Value::Array(array) => {
            array
                .iter()
                .enumerate()
                .for_each(|(at, value)| members(value, format!("{path}/{at}"), paths));
        }
        _ => {}
    }
    if !path.is_empty() {
        paths.push(path);
    }
}

/// A look for a `dsse` entry with these signatures, all of one key.
fn dsse_with(signatures: &[&str]) -> Result<Verified, EntryError> {
    let canonical = submissions().swap_remove(2);
    let mut json: serde_json::Value = serde_json::from_str(&canonical).unwrap();
    let one = json["spec"]["signatures"][0].clone();
    let many = signatures.iter().map(|text| {
        let mut signature = one.clone();
        signature["signature"] = (*text).into();
        signature
    });
    json["spec"]["signatures"] = many.collect();
    Submission::parse(json.to_string().as_bytes())?.verify(Purpose::Find, &LIMITS)
}

#[test]
fn a_body_too_long_to_be_kept_is_refused() {
    assert!(dsse_with(&[&"A".repeat(MAX_BODY - 2048)]).is_ok());
    let refused = dsse_with(&[&"A".repeat(MAX_BODY)]).unwrap_err();
    assert!(refused.to_string().contains("too large"), "{refused}");
}

#[test]
fn more_signatures_than_an_envelope_may_have_are_not_looked_at() {
    assert!(dsse_with(&["AA=="; 32]).is_ok());
    let refused = dsse_with(&["AA=="; 33]).unwrap_err();
    assert!(refused.to_string().contains("more than 32"), "{refused}");
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(json in proptest::collection::vec(any::<u8>(), 0..300)) {
        look_at(&json);
    }

    #[test]
    fn no_change_of_a_submission_is_too_strange(
        which in 0..5_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut json = submissions().swap_remove(which).into_bytes();
        for (at, byte) in changes {
            let at = at.index(json.len());
            json[at] = byte;
        }
        look_at(&json);
    }

    #[test]
    fn no_text_is_too_strange_a_key(text in "(-----BEGIN (PUBLIC KEY|CERTIFICATE)-----\n)?[A-Za-z0-9+/=\n]{0,200}(\n-----END (PUBLIC KEY|CERTIFICATE)-----\n?)?") {
        let _refused_or_not = Verifier::parse(text.as_bytes());
    }
}
