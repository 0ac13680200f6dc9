//! Statuses, codes and headers that do not depend on what an entry is.

use crate::hashedrekord::vector;
use crate::on_every_store;
use crate::stack::{header, refusal, unique_hashedrekord};
use reqwest::Method;
use serde_json::json;

const ENTRIES: &str = "/api/v1/log/entries";
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";
const INDEX: &str = "/api/v1/index/retrieve";

on_every_store! {
    async fn ping_answers_a_full_stop(stack) {
        let response = stack.get("/ping").await;
        assert_eq!((response.status().as_u16(), response.text().await.unwrap()), (200, ".".to_owned()));
        assert_eq!(stack.request(Method::HEAD, "/ping").await.status(), 200);
        refusal(stack.request(Method::POST, "/ping").await, 404).await;
    }

    async fn unknown_paths_are_named(stack) {
        for path in ["/api/v1/version", "/metrics", "/api/v1/log/entries/a/b", "/api/v2/nothing"] {
            let (code, message) = refusal(stack.get(path).await, 404).await;
            assert_eq!((code, message), (404, format!("path {path} was not found")));
        }
    }

    async fn methods_that_a_path_does_not_have_are_listed(stack) {
        assert_eq!(stack.request(Method::HEAD, "/api/v1/log").await.status(), 405);
        let response = stack.request(Method::PUT, ENTRIES).await;
        assert_eq!(header(&response, "allow").unwrap(), "POST,GET");
        let (code, message) = refusal(response, 405).await;
        assert_eq!((code, message.as_str()), (405, "method PUT is not allowed, but [POST,GET] are"));
        for (path, allowed) in [(INDEX, "POST"), ("/api/v1/log/proof", "GET"), ("/api/v1/log/entries/ab", "GET")] {
            let response = stack.request(Method::DELETE, path).await;
            assert_eq!((response.status().as_u16(), header(&response, "allow").unwrap().as_str()), (405, allowed));
        }
    }

    async fn media_types_are_negotiated(stack) {
        let response = stack.client.post(format!("{}{ENTRIES}", stack.base))
            .header("content-type", "text/plain").body("x").send().await.unwrap();
        let (code, message) = refusal(response, 415).await;
        assert_eq!((code, message.as_str()),
            (415, "unsupported media type \"text/plain\", only [application/json] are allowed"));
        let response = stack.client.post(format!("{}{ENTRIES}", stack.base))
            .header("content-type", "application/json; charset=utf-8")
            .body(unique_hashedrekord().to_string()).send().await.unwrap();
        assert_eq!(response.status(), 201);
        let response = stack.client.get(format!("{}/api/v1/log", stack.base))
            .header("accept", "text/html").send().await.unwrap();
        let (code, message) = refusal(response, 406).await;
        assert_eq!((code, message.as_str()),
            (406, "unsupported media type requested, only [application/json] are available"));
    }

    async fn empty_and_malformed_bodies_are_told_apart(stack) {
        for (path, name) in [(ENTRIES, "proposedEntry"), (RETRIEVE, "entry"), (INDEX, "query")] {
            let (code, message) = refusal(stack.request(Method::POST, path).await, 422).await;
            assert_eq!((code, message), (602, format!("{name} in body is required")));
            for malformed in ["[", "[]", "{", "7", "\"x\"", "{\"kind\":", "nul"] {
                let (code, _) = refusal(stack.post_text(path, malformed).await, 400).await;
                assert_eq!(code, 400, "{path} {malformed}");
            }
        }
    }

    async fn what_is_proposed_must_be_said(stack) {
        for body in ["{}", "null", r#"{"spec":{}}"#] {
            let (code, message) = refusal(stack.post_text(ENTRIES, body).await, 422).await;
            assert_eq!((code, message.as_str()), (602, "kind in body is required"), "{body}");
        }
        let (code, message) = stack.refused(&json!({"kind": "nope"}), 422).await;
        assert_eq!((code, message.as_str()), (422, r#"invalid kind value: "nope""#));
        let mut entry = vector();
        entry["apiVersion"] = "x".into();
        assert_eq!(stack.refused(&entry, 422).await.0, 605);
        entry["apiVersion"] = "9.9.9".into();
        let (code, message) = stack.refused(&entry, 400).await;
        assert_eq!((code, message.as_str()), (400, "error processing entry: hashedrekord implementation for \
            version '9.9.9' not found: unable to locate entry for version 9.9.9"));
        entry["apiVersion"] = serde_json::Value::Null;
        let (code, message) = stack.refused(&entry, 422).await;
        assert_eq!((code, message.as_str()), (602, "apiVersion in body is required"));
        let (code, message) = stack.refused(&json!({"kind": "dsse", "apiVersion": "0.0.1"}), 422).await;
        assert_eq!((code, message.as_str()), (602, "spec in body is required"));
    }

    async fn long_bodies_are_refused_everywhere(stack) {
        stack.restart("limits: {body: 4096, bodies: 8192}").await;
        for path in [ENTRIES, RETRIEVE, INDEX] {
            let (code, message) = refusal(stack.post_text(path, vec![b' '; 4097]).await, 413).await;
            assert_eq!((code, message.as_str()), (413, "Request Entity Too Large. Limit set to 4096"));
        }
        stack.create(&unique_hashedrekord()).await;
    }

    async fn answers_to_reads_may_not_be_kept(stack) {
        for path in ["/api/v1/log", "/api/v1/log/publicKey", "/api/v1/log/entries?logIndex=5", "/api/v1/log/proof"] {
            let response = stack.get(path).await;
            assert_eq!(header(&response, "cache-control").unwrap(),
                "no-cache, no-store, no-transform, must-revalidate, private, max-age=0");
            assert_eq!(header(&response, "pragma").unwrap(), "no-cache");
            assert_eq!(header(&response, "expires").unwrap(), "Thu, 01 Jan 1970 00:00:00 UTC");
            assert_eq!(header(&response, "x-accel-expires").unwrap(), "0");
            assert_eq!(header(&response, "vary").unwrap(), "Origin");
        }
    }

    async fn pages_of_any_origin_may_ask(stack) {
        let response = stack.client.get(format!("{}/api/v1/log", stack.base))
            .header("origin", "https://page.example").send().await.unwrap();
        assert_eq!(header(&response, "access-control-allow-origin").unwrap(), "*");
        let response = stack.client.request(Method::OPTIONS, format!("{}{ENTRIES}", stack.base))
            .header("origin", "https://page.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type").send().await.unwrap();
        assert_eq!(response.status(), 204);
        assert_eq!(header(&response, "access-control-allow-origin").unwrap(), "*");
        assert_eq!(header(&response, "access-control-allow-methods").unwrap(), "POST");
        assert!(header(&response, "access-control-allow-headers").unwrap().contains("content-type"));
    }

    async fn a_slash_at_the_end_makes_no_difference(stack) {
        assert_eq!(stack.get("/api/v1/log/").await.status(), 200);
        assert_eq!(stack.get("/api/v1/log/publicKey/").await.status(), 200);
        let response = stack.post("/api/v1/log/entries/", &unique_hashedrekord()).await;
        assert_eq!(response.status(), 201);
        let id = header(&response, "etag").unwrap();
        assert_eq!(header(&response, "location").unwrap(), format!("/api/v1/log/entries/{id}"));
        assert_eq!(stack.get(&format!("/api/v1/log/entries/{id}/")).await.status(), 200);
        let response = stack.post("/api/v1/log/entries/retrieve/", &json!({"entryUUIDs": [id]})).await;
        assert_eq!(response.json::<serde_json::Value>().await.unwrap().as_array().unwrap().len(), 1);
        assert_eq!(stack.post("/api/v1/index/retrieve/", &json!({})).await.text().await.unwrap(), "[]\n");
    }

    async fn disabled_endpoints_say_so(stack) {
        let (id, _) = stack.create(&vector()).await;
        stack.restart("disabled-endpoints: [searchIndex, getLogInfo, getPublicKey, getLogProof, createLogEntry, \
            getLogEntryByIndex, getLogEntryByUUID, searchLogQuery]").await;
        let refused = [
            (stack.submit(&vector()).await, "Create Entry"),
            (stack.get("/api/v1/log/entries?logIndex=0").await, "Get Log Entry by Index"),
            (stack.get(&format!("/api/v1/log/entries/{id}")).await, "Get Log Entry by UUID"),
            (stack.post(RETRIEVE, &json!({})).await, "Search Log Query"),
            (stack.post(INDEX, &json!({})).await, "Search Index"),
            (stack.get("/api/v1/log").await, "Get Log Info"),
            (stack.get("/api/v1/log/proof?lastSize=1").await, "Get Log Proof"),
            (stack.get("/api/v1/log/publicKey").await, "Get Public Key"),
        ];
        for (response, title) in refused {
            let (code, message) = refusal(response, 501).await;
            assert_eq!((code, message), (501, format!("{title} API not enabled in this Rekor instance")));
        }
    }

    async fn health_is_served_beside_the_log(stack) {
        assert_eq!(stack.get("/healthz").await.status(), 200);
        assert_eq!(stack.get("/readyz").await.status(), 200);
    }
}
