//! Signing configs.

use super::*;

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
    // Without an end of its own nobody is sent to it from the start of the new one on: of two
    // usable ones clients would choose differently.
    material.rekor[0].log.valid_for.end = None;
    let config = material.signing_config().unwrap();
    let start = config.rekor_tlog_urls[0].valid_for.start;
    let end = config.rekor_tlog_urls[1].valid_for.end;
    assert_eq!(end, Some(start.just_before()));
    let root = material.trusted_root().unwrap();
    assert_eq!(root.tlogs[0].public_key.valid_for.end, None);
}

#[test]
fn shards_behind_one_url_are_one_service() {
    let mut material = material();
    let before = material.signing_config().unwrap();
    let url = material.rekor[0].log.url.clone();
    material.rekor[0].log.valid_for.end = Some(time("2026-07-01T00:00:00Z"));
    material.rekor.push(RekorMaterial {
        log: log(&url, since("2026-06-30T00:00:00Z")),
        api: RekorApi::V1,
    });
    assert_eq!(material.signing_config().unwrap(), before);
    assert_eq!(material.trusted_root().unwrap().tlogs.len(), 2);
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
