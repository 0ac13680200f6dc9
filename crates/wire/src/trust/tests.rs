//! One row a rule: what clients refuse must be refused here.

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
fn trusted_root_has_every_member_that_some_client_needs() {
    let root = trusted_root();
    assert_eq!(
        root["mediaType"],
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
    );
    for list in ["tlogs", "ctlogs"] {
        let log = &root[list][0];
        assert_eq!(log["hashAlgorithm"], "SHA2_256");
        assert_eq!(log["publicKey"]["keyDetails"], "PKIX_ECDSA_P256_SHA_256");
        assert_eq!(
            log["publicKey"]["validFor"],
            json!({"start": "2026-01-01T00:00:00Z"})
        );
        let members: Vec<&String> = log.as_object().unwrap().keys().collect();
        assert_eq!(members, ["baseUrl", "hashAlgorithm", "logId", "publicKey"]);
    }
    // From the newest certificate of the chain, not from the day of deployment.
    for (list, start, certificates) in [
        ("certificateAuthorities", "2025-01-01T00:00:00Z", 2),
        ("timestampAuthorities", "2026-01-01T00:00:00Z", 3),
    ] {
        let authority = &root[list][0];
        assert_eq!(authority["validFor"], json!({ "start": start }));
        assert_eq!(
            authority["subject"],
            json!({"organization": "corp.example", "commonName": "root"})
        );
        assert_eq!(
            authority["certChain"]["certificates"]
                .as_array()
                .unwrap()
                .len(),
            certificates
        );
        let members: Vec<&String> = authority.as_object().unwrap().keys().collect();
        assert_eq!(members, ["certChain", "subject", "uri", "validFor"]);
    }
}

#[test]
fn lists_are_written_even_if_they_are_empty() {
    let mut material = material();
    material.rekor.clear();
    material.ct_logs.clear();
    let root: Value = serde_json::from_str(&material.trusted_root().unwrap().to_json()).unwrap();
    assert_eq!((&root["tlogs"], &root["ctlogs"]), (&json!([]), &json!([])));
}

#[test]
fn the_same_material_gives_the_same_bytes_whatever_its_order() {
    let mut material = material();
    let older = until("2025-01-01T00:00:00Z", "2025-12-31T00:00:00Z");
    material
        .ct_logs
        .push(log("https://ct.corp.example/2025", older));
    let forward = material.trusted_root().unwrap().to_json();
    material.ct_logs.reverse();
    assert_eq!(material.trusted_root().unwrap().to_json(), forward);
    let root = TrustedRoot::from_json(forward.as_bytes()).unwrap();
    assert_eq!(root.to_json(), forward);
    assert_eq!(root.ctlogs[0].base_url, "https://ct.corp.example/2025");
}

#[test]
fn log_ids_follow_the_kind_of_log() {
    let mut material = material();
    let v2 = LogMaterial {
        key: key(&PKCS_ED25519),
        ..log("https://log.corp.example", since("2026-02-01T00:00:00Z"))
    };
    let public = v2.key.clone();
    material.rekor.push(RekorMaterial {
        log: v2,
        api: RekorApi::V2 {
            origin: "log.corp.example".into(),
        },
    });
    let root = material.trusted_root().unwrap();
    let v1 = &root.tlogs[0];
    assert_eq!(
        v1.log_id.key_id.0,
        crypto::sha256(&v1.public_key.raw_bytes.0)
    );
    let raw = &public.spki_der()[public.spki_der().len() - 32..];
    let id = crypto::sha256(&[b"log.corp.example\n\x01".as_slice(), raw].concat());
    assert_eq!(root.tlogs[1].log_id.key_id.0, id);
    assert_eq!(
        root.tlogs[1].public_key.key_details,
        KeyDetails::PKIX_ED25519
    );
}

#[test]
fn key_details_name_every_kind_of_log_key() {
    for (algorithm, name) in [
        (&PKCS_ECDSA_P256_SHA256, "PKIX_ECDSA_P256_SHA_256"),
        (&PKCS_ECDSA_P384_SHA384, "PKIX_ECDSA_P384_SHA_384"),
        (&PKCS_ECDSA_P521_SHA512, "PKIX_ECDSA_P521_SHA_512"),
        (&PKCS_ED25519, "PKIX_ED25519"),
    ] {
        let details = KeyDetails::of(&key(algorithm)).unwrap();
        assert_eq!(serde_json::to_value(details).unwrap(), name);
    }
    for (details, name) in [
        (
            KeyDetails::PKIX_RSA_PKCS1V15_2048_SHA256,
            "PKIX_RSA_PKCS1V15_2048_SHA256",
        ),
        (
            KeyDetails::PKIX_RSA_PKCS1V15_3072_SHA256,
            "PKIX_RSA_PKCS1V15_3072_SHA256",
        ),
        (
            KeyDetails::PKIX_RSA_PKCS1V15_4096_SHA256,
            "PKIX_RSA_PKCS1V15_4096_SHA256",
        ),
    ] {
        assert_eq!(serde_json::to_value(details).unwrap(), name);
    }
}

#[test]
fn trusted_roots_that_some_client_refuses_are_refused() {
    let pem = "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0K";
    refused(
        &trusted_root(),
        TrustedRoot::from_json,
        &[
            ("variant", &|v| {
                v["mediaType"] = json!("application/vnd.dev.sigstore.trustedroot.v0.1+json")
            }),
            ("variant", &|v| {
                v["mediaType"] = json!("application/vnd.dev.sigstore.trustedroot.v0.2+json")
            }),
            ("missing field `mediaType`", &|v| remove(v, "mediaType")),
            ("missing field `tlogs`", &|v| remove(v, "tlogs")),
            ("missing field `ctlogs`", &|v| remove(v, "ctlogs")),
            ("unknown field", &|v| v["extension"] = json!(1)),
            ("unknown field", &|v| {
                v["tlogs"][0]["operator"] = json!("corp.example")
            }),
            ("unknown field", &|v| {
                v["tlogs"][0]["checkpointKeyId"] = json!({"keyId": "AAAA"})
            }),
            ("unknown field", &|v| {
                v["certificateAuthorities"][0]["operator"] = json!("corp.example")
            }),
            ("missing field `logId`", &|v| {
                remove(&mut v["tlogs"][0], "logId")
            }),
            ("missing field `hashAlgorithm`", &|v| {
                remove(&mut v["tlogs"][0], "hashAlgorithm")
            }),
            ("variant", &|v| {
                v["tlogs"][0]["hashAlgorithm"] = json!("SHA2_512")
            }),
            ("missing field `keyDetails`", &|v| {
                remove(&mut v["tlogs"][0]["publicKey"], "keyDetails")
            }),
            ("variant", &|v| {
                v["tlogs"][0]["publicKey"]["keyDetails"] = json!("PKIX_ED25519_PH")
            }),
            ("expected value", &|v| {
                v["tlogs"][0]["publicKey"]["keyDetails"] = json!(5)
            }),
            ("does not describe", &|v| {
                v["tlogs"][0]["publicKey"]["keyDetails"] = json!("PKIX_ED25519")
            }),
            ("missing field `validFor`", &|v| {
                remove(&mut v["tlogs"][0]["publicKey"], "validFor")
            }),
            ("missing field `start`", &|v| {
                v["tlogs"][0]["publicKey"]["validFor"] = json!({})
            }),
            ("null", &|v| {
                v["tlogs"][0]["publicKey"]["validFor"]["end"] = json!(null)
            }),
            ("before it starts", &|v| {
                v["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2025-01-01T00:00:00Z")
            }),
            ("not a DER public key", &|v| {
                v["tlogs"][0]["publicKey"]["rawBytes"] = json!(pem)
            }),
            ("Invalid", &|v| {
                v["tlogs"][0]["publicKey"]["rawBytes"] = json!("_-8=")
            }),
            ("logId", &|v| {
                v["tlogs"][0]["logId"]["keyId"] = v["ctlogs"][0]["logId"]["keyId"].clone()
            }),
            ("two entries", &|v| {
                v["ctlogs"] = json!([v["ctlogs"][0], v["ctlogs"][0]])
            }),
            ("path prefix", &|v| {
                v["tlogs"][0]["baseUrl"] = json!("https://corp.example/rekor")
            }),
            ("trailing slash", &|v| {
                v["tlogs"][0]["baseUrl"] = json!("https://rekor.corp.example/")
            }),
            ("http or https", &|v| {
                v["tlogs"][0]["baseUrl"] = json!("rekor.corp.example")
            }),
            ("missing field `validFor`", &|v| {
                remove(&mut v["certificateAuthorities"][0], "validFor")
            }),
            ("missing field `subject`", &|v| {
                remove(&mut v["certificateAuthorities"][0], "subject")
            }),
            ("subject", &|v| {
                v["certificateAuthorities"][0]["subject"]["commonName"] = json!("other")
            }),
            ("out of order", &|v| {
                let leaf = v["timestampAuthorities"][0]["certChain"]["certificates"][0].clone();
                let root = v["timestampAuthorities"][0]["certChain"]["certificates"][2].clone();
                v["timestampAuthorities"][0]["certChain"]["certificates"] = json!([leaf, root]);
            }),
            ("self-signed root", &|v| {
                v["certificateAuthorities"][0]["certChain"]["certificates"]
                    .as_array_mut()
                    .unwrap()
                    .reverse();
            }),
            ("self-signed root", &|v| {
                v["certificateAuthorities"][0]["certChain"]["certificates"]
                    .as_array_mut()
                    .unwrap()
                    .pop();
            }),
            ("starts with the signing", &|v| {
                v["timestampAuthorities"][0]["certChain"]["certificates"]
                    .as_array_mut()
                    .unwrap()
                    .remove(0);
            }),
            ("no leaf", &|v| {
                v["certificateAuthorities"][0]["certChain"] =
                    v["timestampAuthorities"][0]["certChain"].clone()
            }),
            ("no certificates", &|v| {
                v["certificateAuthorities"][0]["certChain"]["certificates"] = json!([])
            }),
            ("not an X.509", &|v| {
                v["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"] =
                    json!(pem);
            }),
        ],
    );
}

#[test]
fn entries_out_of_order_are_refused() {
    let mut material = material();
    material.ct_logs.push(log(
        "https://ct.corp.example/2025",
        until("2025-01-01T00:00:00Z", "2025-12-31T00:00:00Z"),
    ));
    let mut root: Value =
        serde_json::from_str(&material.trusted_root().unwrap().to_json()).unwrap();
    root["ctlogs"].as_array_mut().unwrap().reverse();
    let error = TrustedRoot::from_json(root.to_string().as_bytes())
        .unwrap_err()
        .to_string();
    assert!(error.contains("oldest first"), "{error}");
}

#[test]
fn signing_config_always_has_both_selectors_operator_and_version() {
    let config = signing_config();
    assert_eq!(
        config["mediaType"],
        "application/vnd.dev.sigstore.signingconfig.v0.2+json"
    );
    for list in ["caUrls", "oidcUrls", "rekorTlogUrls", "tsaUrls"] {
        let service = &config[list][0];
        assert_eq!(
            (&service["majorApiVersion"], &service["operator"]),
            (&json!(1), &json!("corp.example"))
        );
        assert!(service["validFor"]["start"].is_string());
    }
    assert_eq!(
        config["tsaUrls"][0]["url"],
        "https://tsa.corp.example/api/v1/timestamp"
    );
    let mut material = material();
    material.timestamp.clear();
    material.rekor.clear();
    let config: Value =
        serde_json::from_str(&material.signing_config().unwrap().to_json()).unwrap();
    assert_eq!(config["rekorTlogConfig"], json!({"selector": "ANY"}));
    assert_eq!(config["tsaConfig"], json!({"selector": "ANY"}));
}

#[test]
fn signing_configs_that_some_client_refuses_are_refused() {
    refused(
        &signing_config(),
        SigningConfig::from_json,
        &[
            ("variant", &|v| {
                v["mediaType"] = json!("application/vnd.dev.sigstore.signingconfig.v0.1+json")
            }),
            ("unknown field", &|v| {
                v["caUrl"] = json!("https://fulcio.corp.example")
            }),
            ("missing field `rekorTlogConfig`", &|v| {
                remove(v, "rekorTlogConfig")
            }),
            ("missing field `tsaConfig`", &|v| remove(v, "tsaConfig")),
            ("variant", &|v| {
                v["tsaConfig"]["selector"] = json!("SERVICE_SELECTOR_UNDEFINED")
            }),
            ("EXACT", &|v| v["tsaConfig"] = json!({"selector": "EXACT"})),
            ("EXACT", &|v| {
                v["tsaConfig"] = json!({"selector": "EXACT", "count": 0})
            }),
            ("EXACT", &|v| {
                v["tsaConfig"] = json!({"selector": "EXACT", "count": 2})
            }),
            ("EXACT", &|v| {
                v["tsaConfig"] = json!({"selector": "ANY", "count": 1})
            }),
            ("missing field `majorApiVersion`", &|v| {
                remove(&mut v["caUrls"][0], "majorApiVersion")
            }),
            ("no client speaks", &|v| {
                v["caUrls"][0]["majorApiVersion"] = json!(2)
            }),
            ("no client speaks", &|v| {
                v["rekorTlogUrls"][0]["majorApiVersion"] = json!(3)
            }),
            ("missing field `operator`", &|v| {
                remove(&mut v["caUrls"][0], "operator")
            }),
            ("operator", &|v| v["caUrls"][0]["operator"] = json!("")),
            ("missing field `validFor`", &|v| {
                remove(&mut v["caUrls"][0], "validFor")
            }),
            ("/api/v1/timestamp", &|v| {
                v["tsaUrls"][0]["url"] = json!("https://tsa.corp.example")
            }),
            ("path prefix", &|v| {
                v["caUrls"][0]["url"] = json!("https://corp.example/fulcio")
            }),
            ("trailing slash", &|v| {
                v["oidcUrls"][0]["url"] = json!("https://login.corp.example/")
            }),
            ("without credentials", &|v| {
                v["oidcUrls"][0]["url"] = json!("https://a:b@login.corp.example")
            }),
            ("overlaps", &|v| {
                v["caUrls"] = json!([v["caUrls"][0], v["caUrls"][0]])
            }),
            ("needs a timestamp authority", &|v| {
                v["rekorTlogUrls"][0]["majorApiVersion"] = json!(2);
                v["tsaUrls"] = json!([]);
            }),
        ],
    );
}

#[test]
fn a_shard_that_ended_stays_listed_behind_the_new_one() {
    let mut material = material();
    material.rekor.insert(
        0,
        RekorMaterial {
            log: log(
                "https://rekor-2025.corp.example",
                until("2025-01-01T00:00:00Z", "2025-12-31T00:00:00Z"),
            ),
            api: RekorApi::V1,
        },
    );
    let config = material.signing_config().unwrap();
    let urls: Vec<&str> = config
        .rekor_tlog_urls
        .iter()
        .map(|s| s.url.as_str())
        .collect();
    assert_eq!(
        urls,
        [
            "https://rekor.corp.example",
            "https://rekor-2025.corp.example"
        ]
    );
    let usable = SigningConfig::usable(&config.rekor_tlog_urls, time("2026-03-01T00:00:00Z"));
    assert_eq!(usable.len(), 1);
    // Without an end the two would both be usable, and clients would choose differently.
    material.rekor[0].log.valid_for.end = None;
    assert!(
        material
            .signing_config()
            .unwrap_err()
            .to_string()
            .contains("overlaps")
    );
}

#[test]
fn rekor_v2_has_a_signing_config_of_its_own() {
    let mut material = material();
    assert_eq!(material.signing_config_rekor_v2().unwrap(), None);
    material.rekor.push(RekorMaterial {
        log: log("https://log.corp.example", since("2026-02-01T00:00:00Z")),
        api: RekorApi::V2 {
            origin: "log.corp.example".into(),
        },
    });
    let v1 = material.signing_config().unwrap();
    assert_eq!(
        v1.rekor_tlog_urls
            .iter()
            .map(|s| s.major_api_version)
            .collect::<Vec<_>>(),
        [1]
    );
    let v2 = material.signing_config_rekor_v2().unwrap().unwrap();
    assert_eq!(
        v2.rekor_tlog_urls
            .iter()
            .map(|s| s.major_api_version)
            .collect::<Vec<_>>(),
        [2]
    );
}

#[test]
fn two_chains_behind_one_url_are_one_service() {
    let mut material = material();
    let url = material.fulcio[0].url.clone();
    material.fulcio.push(AuthorityMaterial {
        url,
        chain: chain(false),
        valid_for: Some(since("2026-06-01T00:00:00Z")),
    });
    assert_eq!(
        material
            .trusted_root()
            .unwrap()
            .certificate_authorities
            .len(),
        2
    );
    let config = material.signing_config().unwrap();
    assert_eq!(config.ca_urls.len(), 1);
    assert_eq!(config.ca_urls[0].valid_for, since("2025-01-01T00:00:00Z"));
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
