//! One row a rule: what clients refuse must be refused here.

mod signing_config;
mod trusted_root;

use crypto::PublicKey;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, SignatureAlgorithm,
    date_time_ymd,
};
use serde_json::{Value, json};

use super::*;

fn key(algorithm: &'static SignatureAlgorithm) -> PublicKey {
    let pair = KeyPair::generate_for(algorithm).unwrap();
    PublicKey::from_pem(&pair.public_key_pem()).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn since(text: &str) -> TimeRange {
    TimeRange::since(time(text))
}

fn until(start: &str, end: &str) -> TimeRange {
    TimeRange {
        start: time(start),
        end: Some(time(end)),
    }
}

/// Root, intermediate and, if asked for, a leaf; signing end first.
fn chain(leaf: bool) -> Vec<Vec<u8>> {
    let params = |name: &str, ca: bool, year: i32| {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "corp.example");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = if ca {
            IsCa::Ca(BasicConstraints::Unconstrained)
        } else {
            IsCa::ExplicitNoCa
        };
        params.not_before = date_time_ymd(year, 1, 1);
        params.not_after = date_time_ymd(2036, 1, 1);
        params
    };
    let (root, intermediate) = (
        params("root", true, 2024),
        params("intermediate", true, 2025),
    );
    let (root_key, intermediate_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root_certificate = root.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::from_params(&root, &root_key);
    let intermediate_certificate = intermediate
        .signed_by(&intermediate_key, &root_issuer)
        .unwrap();
    let mut chain = vec![
        intermediate_certificate.der().to_vec(),
        root_certificate.der().to_vec(),
    ];
    if leaf {
        let issuer = Issuer::from_params(&intermediate, &intermediate_key);
        let leaf_key = KeyPair::generate().unwrap();
        let certificate = params("timestamps", false, 2026)
            .signed_by(&leaf_key, &issuer)
            .unwrap();
        chain.insert(0, certificate.der().to_vec());
    }
    chain
}

fn log(url: &str, valid_for: TimeRange) -> LogMaterial {
    LogMaterial {
        url: url.into(),
        key: key(&PKCS_ECDSA_P256_SHA256),
        valid_for,
    }
}

fn material() -> ServiceMaterial {
    let started = since("2026-01-01T00:00:00Z");
    ServiceMaterial {
        operator: "corp.example".into(),
        fulcio: vec![AuthorityMaterial {
            url: "https://fulcio.corp.example".into(),
            chain: chain(false),
            valid_for: None,
        }],
        ct_logs: vec![log("https://ct.corp.example/2026", started)],
        rekor: vec![RekorMaterial {
            log: log("https://rekor.corp.example", started),
            api: RekorApi::V1,
        }],
        timestamp: vec![AuthorityMaterial {
            url: "https://tsa.corp.example/api/v1/timestamp".into(),
            chain: chain(true),
            valid_for: None,
        }],
        identity_providers: vec![IdentityProviderMaterial {
            url: "https://login.corp.example/realms/dev".into(),
            valid_for: started,
        }],
    }
}

fn trusted_root() -> Value {
    serde_json::from_str(&material().trusted_root().unwrap().to_json()).unwrap()
}

fn signing_config() -> Value {
    serde_json::from_str(&material().signing_config().unwrap().to_json()).unwrap()
}

fn remove(value: &mut Value, member: &str) {
    value.as_object_mut().unwrap().remove(member).unwrap();
}

/// Why it must be refused, and the change that makes it so.
type Row<'a> = (&'a str, &'a dyn Fn(&mut Value));

/// Each change to a good document must be refused, and for the stated reason.
fn refused<T: std::fmt::Debug>(
    good: &Value,
    parse: fn(&[u8]) -> Result<T, TrustError>,
    rows: &[Row<'_>],
) {
    parse(good.to_string().as_bytes()).unwrap();
    for (reason, change) in rows {
        let mut bad = good.clone();
        change(&mut bad);
        assert_ne!(bad, *good, "{reason}: the row changes nothing");
        let error = parse(bad.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "wanted {reason:?}, got {error:?}");
    }
}

#[test]
fn client_trust_config_holds_both_and_is_as_strict() {
    let good = ClientTrustConfig::new(
        material().trusted_root().unwrap(),
        material().signing_config().unwrap(),
    );
    let json = good.to_json();
    assert_eq!(ClientTrustConfig::from_json(json.as_bytes()).unwrap(), good);
    refused(
        &serde_json::from_str(&json).unwrap(),
        ClientTrustConfig::from_json,
        &[
            ("variant", &|v| {
                v["mediaType"] = json!("application/vnd.dev.sigstore.clienttrustconfig.v0.2+json")
            }),
            ("missing field `signingConfig`", &|v| {
                remove(v, "signingConfig")
            }),
            ("unknown field", &|v| v["signing_config"] = json!({})),
            ("path prefix", &|v| {
                v["trustedRoot"]["tlogs"][0]["baseUrl"] = json!("https://corp.example/rekor")
            }),
            ("operator", &|v| {
                v["signingConfig"]["caUrls"][0]["operator"] = json!("")
            }),
        ],
    );
}

#[test]
fn times_have_milliseconds_at_most_and_are_in_utc() {
    for text in [
        "1970-01-01T00:00:00Z",
        "2026-02-28T23:59:59Z",
        "2026-01-01T00:00:00.250Z",
    ] {
        assert_eq!(time(text).to_string(), text);
    }
    assert_eq!(
        time("2026-01-01T00:00:00.000Z").to_string(),
        "2026-01-01T00:00:00Z"
    );
    for text in [
        "",
        "2026-02-30T00:00:00Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00.1Z",
        "2026-01-01T00:00:00.123456789Z",
        "3000-01-01T00:00:00Z",
    ] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
    }
}

#[test]
fn both_ends_belong_to_a_period() {
    let range = until("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    assert!(range.contains(range.start) && range.contains(time("2026-02-01T00:00:00Z")));
    assert!(
        !range.contains(time("2025-12-31T23:59:59Z"))
            && !range.contains(time("2026-02-01T00:00:00.001Z"))
    );
    assert!(
        range.overlaps(&since("2026-02-01T00:00:00Z"))
            && !range.overlaps(&since("2026-02-01T00:00:01Z"))
    );
}

#[test]
fn oversized_documents_are_refused() {
    let long = vec![b' '; MAX_DOCUMENT + 1];
    assert!(
        TrustedRoot::from_json(&long)
            .unwrap_err()
            .to_string()
            .contains("longer")
    );
}
