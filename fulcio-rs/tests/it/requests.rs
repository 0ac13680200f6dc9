//! The APIs: what they accept, and how they answer.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{Answer, KEY, TOKEN, csr_body, request};
use crate::keys::Key;
use crate::stack::{Stack, authority};

const EMAIL: &str = "dev@corp.example";

#[tokio::test]
async fn a_token_in_the_body_gives_a_chain_with_an_embedded_sct() {
    let stack = Stack::start().await;
    let answer = stack
        .ask_email(&stack.provider.token(&stack.provider.claims()))
        .await;
    let chain = answer.chain();
    assert!(answer.json().get("signedCertificateEmbeddedSct").is_some());
    assert_eq!(chain.len(), 3);
    assert!(chain.iter().all(|pem| !pem.ends_with('\n')));
    let own = std::fs::read_to_string(&authority().await.files.chain).unwrap();
    let own: Vec<_> = pem::parse_many(own)
        .unwrap()
        .into_iter()
        .map(pem::Pem::into_contents)
        .collect();
    let sent: Vec<_> = chain
        .iter()
        .map(|text| pem::parse(text).unwrap().into_contents())
        .collect();
    assert_eq!(sent[1..], own);
    let leaf = pki::sct::embedded(&sent[0]).unwrap();
    assert_eq!(leaf.len(), 1);
}

#[tokio::test]
async fn a_token_may_be_in_the_header() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let key = Key::p256();
    let bodied = request(&token, &key, EMAIL);
    let mut bare = bodied.clone();
    bare.as_object_mut().unwrap().remove("credentials");
    let with = async |header: String, body: &Value| {
        Answer::of(stack.v2().header("authorization", header).json(body)).await
    };
    with(format!("Bearer {token}"), &bare).await.chain();
    with(token.clone(), &bare).await.chain();
    with(format!("bearer {token}"), &bare)
        .await
        .is_refused(TOKEN);
    with(format!("Basic {token}"), &bare)
        .await
        .is_refused(TOKEN);
    // The body's token counts, good or bad.
    with("Bearer bad".to_owned(), &bodied).await.chain();
    let bad = request("bad", &key, EMAIL);
    with(format!("Bearer {token}"), &bad)
        .await
        .is_refused(TOKEN);
    // The gateway's metadata header counts alone, and makes two values with the other.
    let metadata = stack.v2().header("grpc-metadata-oidcidentitytoken", &token);
    Answer::of(metadata.json(&bare)).await.chain();
    let both = stack
        .v2()
        .header("grpc-metadata-oidcidentitytoken", &token)
        .bearer_auth(&token);
    Answer::of(both.json(&bare)).await.is_refused(TOKEN);
}

#[tokio::test]
async fn empty_requests_lack_the_token_first_and_the_key_second() {
    let stack = Stack::start().await;
    for body in ["", "{}", r#"{"credentials":{}}"#, r#"{"credentials":null}"#] {
        Answer::of(stack.v2().body(body)).await.is_refused(TOKEN);
    }
    let token = stack.provider.token(&stack.provider.claims());
    Answer::of(stack.v2().bearer_auth(&token))
        .await
        .is_refused(KEY);
    Answer::of(stack.v2().bearer_auth(&token).body("{}"))
        .await
        .is_refused(KEY);
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let key = Key::p256();
    let mut both = request(&token, &key, EMAIL);
    both["certificateSigningRequest"] = json!("AA==");
    let twice = request(&token, &key, EMAIL)
        .to_string()
        .replacen('{', r#"{"credentials":{},"#, 1);
    let bad_base64 = {
        let mut body = request(&token, &key, EMAIL);
        body["publicKeyRequest"]["proofOfPossession"] = json!("!!!");
        body.to_string()
    };
    for body in [
        r#"{"credentials":"#,
        "[]",
        "null",
        "\"x\"",
        &both.to_string(),
        &twice,
        &bad_base64,
    ] {
        let answer = Answer::of(stack.v2().body(body.to_owned())).await;
        assert_eq!(answer.status, 400, "{body:.60}");
        let json = answer.json();
        assert_eq!((&json["code"], &json["details"]), (&json!(3), &json!([])));
        assert!(!answer.text.contains(&token));
    }
}

#[tokio::test]
async fn spelling_and_headers_are_free() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let key = Key::p256();
    let proof = STANDARD.encode(key.sign(EMAIL.as_bytes()));
    let snake = json!({
        "credentials": {"oidc_identity_token": token}, "unknown": [{}],
        "public_key_request": {"public_key": {"content": key.pem(), "more": 1}, "proof_of_possession": proof},
    });
    let answer = stack
        .v2()
        .header("content-type", "text/plain")
        .header("accept", "application/pem-certificate-chain")
        .body(format!("{snake} trailing"));
    let answer = Answer::of(answer).await;
    answer.chain();
    assert_eq!(answer.headers["content-type"], "application/json");
    for algorithm in [json!("RSA"), json!(2), json!("nonsense"), json!(null)] {
        let mut body = request(&token, &key, EMAIL);
        body["publicKeyRequest"]["publicKey"]["algorithm"] = algorithm;
        stack.post(&body).await.chain();
    }
    let signature = key.sign(EMAIL.as_bytes());
    for proof in [
        URL_SAFE.encode(&signature),
        STANDARD_NO_PAD.encode(&signature),
    ] {
        let mut body = request(&token, &key, EMAIL);
        body["publicKeyRequest"]["proofOfPossession"] = json!(proof);
        stack.post(&body).await.chain();
    }
}

#[tokio::test]
async fn bodies_over_four_mebibytes_are_refused() {
    let stack = Stack::start().await;
    let limit = 4 << 20;
    let text = |length: usize| format!("{{\"x\":\"{}\"}}", "a".repeat(length - 8));
    Answer::of(stack.v2().body(text(limit)))
        .await
        .is_refused(TOKEN);
    Answer::of(stack.v2().body(text(limit + 1)))
        .await
        .is_refused("http: request body too large");
    // Without a length, it is counted.
    let address = stack.url.strip_prefix("http://").unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = "POST /api/v2/signingCert HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(65536));
    for _ in 0..70 {
        // The service may answer, and close, before it is sent everything.
        if connection.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _closed_early = connection.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("http: request body too large"),
        "{answer}"
    );
}

#[tokio::test]
async fn wrong_methods_and_paths() {
    let stack = Stack::start().await;
    for path in ["/api/v2/signingCert", "/api/v1/signingCert"] {
        stack
            .get(path)
            .await
            .is_error(501, 12, "Method Not Allowed");
    }
    let post = stack
        .client
        .post(format!("{}/api/v2/trustBundle", stack.url));
    Answer::of(post)
        .await
        .is_error(501, 12, "Method Not Allowed");
    for path in [
        "/",
        "/api/v2/signingCert/",
        "/api/v2",
        "/api/v2/trustbundle",
    ] {
        stack.get(path).await.is_error(404, 5, "Not Found");
    }
    // A base URL that ends in a slash.
    stack.get("//api/v2/trustBundle").await.json();
}

#[tokio::test]
async fn pages_of_any_origin_may_ask_but_not_with_authorization() {
    let stack = Stack::start().await;
    let preflight = async |headers: &str| {
        let url = format!("{}/api/v2/signingCert", stack.url);
        let request = stack
            .client
            .request(Method::OPTIONS, url)
            .header("origin", "https://page.example");
        Answer::of(
            request
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", headers),
        )
        .await
    };
    let allowed = preflight("content-type").await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.headers["access-control-allow-origin"], "*");
    let refused = preflight("content-type,authorization").await;
    assert_eq!(refused.status, 204);
    assert!(!refused.headers.contains_key("access-control-allow-origin"));
    let url = format!("{}/api/v2/configuration", stack.url);
    let answer = Answer::of(
        stack
            .client
            .get(url)
            .header("origin", "https://page.example"),
    )
    .await;
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    assert!(
        !answer
            .headers
            .contains_key("access-control-allow-credentials")
    );
}

#[tokio::test]
async fn trust_bundle_and_root_cert_are_the_chain() {
    let stack = Stack::start().await;
    let own = std::fs::read_to_string(&authority().await.files.chain).unwrap();
    let ders = |text: &str| {
        pem::parse_many(text)
            .unwrap()
            .into_iter()
            .map(pem::Pem::into_contents)
            .collect::<Vec<_>>()
    };
    let bundle = stack.get("/api/v2/trustBundle").await.json();
    let certificates = bundle["chains"][0]["certificates"].as_array().unwrap();
    assert_eq!(bundle["chains"].as_array().unwrap().len(), 1);
    let text: String = certificates
        .iter()
        .map(|pem| pem.as_str().unwrap())
        .collect();
    assert!(certificates.iter().all(|pem| {
        pem.as_str()
            .unwrap()
            .ends_with("-----END CERTIFICATE-----\n")
    }));
    assert_eq!(ders(&text), ders(&own));
    let root = stack.get("/api/v1/rootCert").await;
    assert_eq!(root.status, 200);
    assert_eq!(
        root.headers["content-type"],
        "application/pem-certificate-chain"
    );
    assert_eq!(ders(&root.text), ders(&own));
}

#[tokio::test]
async fn configuration_lists_every_issuer_with_all_fields() {
    let stack = Stack::start().await;
    let configuration = stack.get("/api/v2/configuration").await.json();
    let issuers = configuration["issuers"].as_array().unwrap();
    let find = |key: &str, suffix: &str| {
        let url = format!("{}/{suffix}", stack.provider.url);
        issuers
            .iter()
            .find(|issuer| issuer[key] == json!(url))
            .unwrap_or_else(|| panic!("{url}"))
    };
    assert_eq!(
        find("issuerUrl", "email"),
        &json!({"issuerUrl": format!("{}/email", stack.provider.url), "audience": "sigstore",
            "challengeClaim": "email", "spiffeTrustDomain": "", "issuerType": "email", "subjectDomain": "",
            "skipEmailVerification": false})
    );
    assert_eq!(
        find("issuerUrl", "skip")["skipEmailVerification"],
        json!(true)
    );
    assert_eq!(
        find("issuerUrl", "spiffe")["spiffeTrustDomain"],
        json!("td.example")
    );
    assert_eq!(
        find("issuerUrl", "uri")["subjectDomain"],
        json!("http://127.0.0.1")
    );
    assert_eq!(find("issuerUrl", "github")["challengeClaim"], json!("sub"));
    let wildcard = find("wildcardIssuerUrl", "tenant/*");
    assert!(wildcard.get("issuerUrl").is_none());
}

#[tokio::test]
async fn version_one_takes_pem_and_der_keys_and_requests() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let key = Key::p256();
    let signature = STANDARD.encode(key.sign(EMAIL.as_bytes()));
    let csr = crate::proofs::csr(&rcgen::PKCS_ECDSA_P256_SHA256);
    for body in [
        json!({"publicKey": {"algorithm": "ecdsa", "content": STANDARD.encode(key.spki())}, "signedEmailAddress": signature}),
        json!({"publicKey": {"content": STANDARD.encode(key.pem())}, "signedEmailAddress": signature}),
        json!({"certificateSigningRequest": STANDARD.encode(&csr)}),
        json!({"certificateSigningRequest": STANDARD.encode(&csr), "publicKey": {"content": "AAAA"}}),
    ] {
        let answer = Answer::of(stack.v1().bearer_auth(&token).json(&body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(
            answer.headers["content-type"],
            "application/pem-certificate-chain"
        );
        assert!(!answer.headers.contains_key("sct"));
        assert_eq!(pem::parse_many(&answer.text).unwrap().len(), 3);
        assert!(!answer.text.contains("\n\n") && answer.text.trim() == answer.text);
    }
}

#[tokio::test]
async fn version_one_misses_the_key_first_and_reads_the_token_from_the_header_only() {
    let stack = Stack::start().await;
    for body in ["{}", "", r#"{"publicKey":{}}"#] {
        Answer::of(stack.v1().body(body)).await.is_refused(KEY);
    }
    let token = stack.provider.token(&stack.provider.claims());
    let csr = crate::proofs::csr(&rcgen::PKCS_ECDSA_P256_SHA256);
    Answer::of(stack.v1().json(&csr_body(&token, &csr)))
        .await
        .is_refused(TOKEN);
}

#[tokio::test]
async fn without_a_log_the_answer_is_detached_and_empty() {
    let stack = Stack::with(Stack::without_log).await;
    let token = stack.provider.token(&stack.provider.claims());
    let answer = stack.ask_email(&token).await;
    assert_eq!(
        answer.json()["signedCertificateDetachedSct"]["signedCertificateTimestamp"],
        json!("")
    );
    assert!(pki::sct::embedded(&answer.leaf()).unwrap().is_empty());
    let csr = crate::proofs::csr(&rcgen::PKCS_ECDSA_P256_SHA256);
    let old = stack.v1().bearer_auth(&token).json(&csr_body("", &csr));
    let old = Answer::of(old).await;
    assert_eq!(old.status, 201, "{old:?}");
    assert!(!old.headers.contains_key("sct"));
}

#[tokio::test]
async fn metrics_have_fulcios_names() {
    serve::metrics::install();
    let stack = Stack::start().await;
    stack
        .ask_email(&stack.provider.token(&stack.provider.claims()))
        .await
        .chain();
    stack.get("/nowhere").await;
    stack.ask_email("x.y.z").await.is_refused(TOKEN);
    let text = stack.metrics().await;
    let value = |line: &str| -> f64 {
        let found = text
            .lines()
            .find_map(|text| text.strip_prefix(line))
            .unwrap_or_else(|| panic!("{line}: {text}"));
        found.trim().parse().unwrap()
    };
    assert!(value("fulcio_new_certs ") >= 1.0);
    assert!(value(r#"fulcio_api_latency_bucket{code="200",method="post",le="+Inf"}"#) >= 1.0);
    assert!(value(r#"fulcio_api_latency_count{code="404",method="get"}"#) >= 1.0);
    let all = |start: &str, more: &str| -> f64 {
        text.lines()
            .filter(|line| line.starts_with(start) && line.contains(more))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    };
    assert!(all("http_requests_total{", r#"method="post""#) >= 1.0);
    assert!(all("http_requests_total{", r#"code="404""#) >= 1.0);
    assert_eq!(all("fulcio_build_info{version=", ""), 1.0);
    assert!(value(r#"fulcio_refused_certs_total{reason="token"}"#) >= 1.0);
    assert!(value(r#"certificate_step_seconds_count{step="sct"}"#) >= 1.0);
    assert!(value("fulcio_ca_not_after_timestamp_seconds ") > 1.8e9);
}
