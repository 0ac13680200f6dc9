//! Trusted roots.

use super::*;

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
