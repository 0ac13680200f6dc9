//! The write policy: whose entries are taken, from whom, and how often.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::dsse;
use crate::hashedrekord::vector;
use crate::keys::{Certified, Key, authority, certify, sign_envelope};
use crate::on_every_store;
use crate::stack::{
    Stack, b64, hashedrekord, header, refusal, signed_artifact, unique_hashedrekord,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::PublicKeyData as _;
use reqwest::Response;
use serde_json::{Value, json};

impl Stack {
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    async fn restart_under(&mut self, policy: &str) {
        let policy = policy.replace("DIR", &self.directory.path().display().to_string());
        self.restart(&format!("write-policy: {policy}")).await;
    }

    /// Proposes an entry with a bearer token.
    async fn submit_as(&self, token: &str, entry: &Value) -> Response {
        let request = self
            .client
            .post(format!("{}/api/v1/log/entries", self.base));
        let request = request
            .header("content-type", "application/json")
            .bearer_auth(token);
        request.body(entry.to_string()).send().await.unwrap()
    }
}

/// An artifact's entry whose certificate comes with others.
fn with_chain(artifact: &[u8], chain: &[&Certified]) -> Value {
    let pem: String = chain
        .iter()
        .map(|certified| certified.pem.as_str())
        .collect();
    let digest = hex::encode(crypto::sha256(artifact));
    hashedrekord("sha256", &digest, &chain[0].key.sign(artifact), &pem)
}

on_every_store! {
    async fn only_our_authority_and_listed_keys_sign(stack) {
        let root = certify("our root", None, authority);
        let intermediate = certify("our intermediate", Some(&root), authority);
        let (listed, by_digest) = (Key::p256(), certify("self", None, |_| {}));
        let spki = rekor_rs::entry::Verifier::parse(by_digest.pem.as_bytes()).unwrap();
        stack.write("ca.pem", &root.pem);
        stack.write("listed.pem", &listed.pem);
        stack.restart_under(&format!(
            "{{signers: {{authorities: DIR/ca.pem, keys: [DIR/listed.pem, 'sha256:{}']}}}}",
            hex::encode(crypto::sha256(spki.key().spki_der())),
        )).await;

        let leaf = certify("leaf", Some(&root), |_| {});
        let below = certify("leaf", Some(&intermediate), |_| {});
        stack.create(&signed_artifact(b"1", &leaf.key)).await;
        stack.create(&with_chain(b"2", &[&below, &intermediate])).await;
        stack.create(&with_chain(b"3", &[&below, &intermediate, &root])).await;
        stack.create(&signed_artifact(b"4", &listed)).await;
        stack.create(&signed_artifact(b"5", &by_digest.key)).await;

        // The same names do not make the same authority.
        let impostor = certify("our root", None, authority);
        let forged = certify("leaf", Some(&impostor), |_| {});
        let no_authority = certify("leaf", Some(&leaf), |_| {});
        let early = certify("leaf", Some(&root), |params| {
            params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        });
        for entry in [
            signed_artifact(b"6", &forged.key),
            with_chain(b"6", &[&forged, &impostor]),
            signed_artifact(b"6", &no_authority.key),
            signed_artifact(b"6", &below.key),
            signed_artifact(b"6", &early.key),
            signed_artifact(b"6", &certify("self", None, |_| {}).key),
        ] {
            let (_, message) = stack.refused(&entry, 403).await;
            assert!(message.contains("get one from the certificate authority that goes with this log"), "{message}");
            assert!(message.contains("write-policy.signers"), "{message}");
        }
        let (_, message) = stack.refused(&vector(), 403).await;
        assert!(message.contains("sign with an identity instead of a key"), "{message}");

        // All signers of an entry count.
        let (payload, stranger) = (b"{}", Key::p256());
        let sign = |key: &Key| b64(sign_envelope(key, "application/vnd.in-toto+json", payload));
        let both = dsse::envelope(payload, &[&sign(&listed), &sign(&stranger)]);
        stack.refused(&dsse::entry(&both, &[&listed.pem, &stranger.pem]), 403).await;
        let one = dsse::envelope(payload, &[&sign(&listed)]);
        stack.create(&dsse::entry(&one, &[&listed.pem])).await;

        // A wrong signature is that, and nothing else; what is in the log is found whoever signed it.
        let mut broken = signed_artifact(b"7", &leaf.key);
        broken["spec"]["data"]["hash"]["value"] = json!("00".repeat(32));
        stack.refused(&broken, 400).await;
        assert!(stack.retrieve(json!({"entries": [vector()]})).await.is_empty());
    }

    async fn kinds_that_name_no_signer_are_refused_where_signers_are_listed(stack) {
        let timestamp = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/timestamp.tsr")).unwrap();
        let entry = json!({"apiVersion": "0.0.1", "kind": "rfc3161", "spec": {"tsr": {"content": b64(timestamp)}}});
        stack.write("listed.pem", &Key::p256().pem);
        stack.restart_under("{signers: {keys: [DIR/listed.pem]}}").await;
        let (_, message) = stack.refused(&entry, 403).await;
        assert!(message.contains("does not say who signed it"), "{message}");
        stack.restart("").await;
        stack.create(&entry).await;
    }

    async fn writers_bring_a_token_and_readers_need_none(stack) {
        let provider = Provider::new("https://idp.corp.example");
        stack.write("jwks.json", &provider.jwks);
        let tokens = "tokens: [{issuer: 'https://idp.corp.example', audience: rekor, jwks: DIR/jwks.json, claims: {repository: 'corp/*'}}]";
        stack.restart_under(&format!("{{clients: {{{tokens}}}}}")).await;

        let entry = unique_hashedrekord();
        let anonymous = stack.submit(&entry).await;
        assert_eq!(header(&anonymous, "www-authenticate").as_deref(), Some("Bearer"));
        let (_, message) = refusal(anonymous, 401).await;
        assert!(message.contains("send an identity token"), "{message}");
        let stranger = Provider::new("https://idp.corp.example");
        for (token, says) in [
            ("nonsense".to_owned(), "malformed token"),
            (provider.token(json!({"aud": "sigstore"})), "audience"),
            (provider.token(json!({"exp": 1})), "expired"),
            (provider.token(json!({"iss": "https://other.example"})), "issuer is not configured"),
            (stranger.token(json!({})), "signature does not verify"),
        ] {
            let (_, message) = refusal(stack.submit_as(&token, &entry).await, 401).await;
            assert!(message.contains(says), "{message}");
        }
        let (_, message) = refusal(stack.submit_as(&provider.token(json!({"repository": "evil/app"})), &entry).await, 403).await;
        assert!(message.contains("requires claim \"repository\" to match \"corp/*\", and it is \"evil/app\""), "{message}");
        assert_eq!(stack.submit_as(&provider.token(json!({})), &entry).await.status(), 201);
        assert_eq!(stack.get("/api/v1/log/entries?logIndex=0").await.status(), 200);

        stack.restart_under(&format!("{{clients: {{reads: true, {tokens}}}}}")).await;
        refusal(stack.get("/api/v1/log/entries?logIndex=0").await, 401).await;
        refusal(stack.get("/api/sigkeep/v1/entries").await, 401).await;
        let read = stack.client.get(format!("{}/api/v1/log", stack.base)).bearer_auth(provider.token(json!({})));
        assert_eq!(read.send().await.unwrap().status(), 200);
        assert_eq!(stack.get("/ping").await.status(), 200);
    }

    async fn providers_are_asked_for_their_keys(stack) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = Provider::new(&url);
        stack.restart_under(&format!("{{clients: {{tokens: [{{issuer: '{url}', audience: rekor}}]}}}}")).await;
        let entry = unique_hashedrekord();
        let (discovery, keys) = (
            json!({"issuer": url, "jwks_uri": format!("{url}/keys"), "id_token_signing_alg_values_supported": ["ES256"]}).to_string(),
            provider.jwks.clone(),
        );
        let router = axum::Router::new()
            .route("/.well-known/openid-configuration", axum::routing::get(move || std::future::ready(discovery)))
            .route("/keys", axum::routing::get(move || std::future::ready(keys)));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        assert_eq!(stack.submit_as(&provider.token(json!({})), &entry).await.status(), 201);
        // Begun again while the provider is down.
        server.abort();
        let _ = server.await;
        stack.restart_under(&format!("{{clients: {{tokens: [{{issuer: '{url}', audience: rekor}}]}}}}")).await;
        let (_, message) = refusal(stack.submit_as(&provider.token(json!({})), &unique_hashedrekord()).await, 503).await;
        assert!(message.contains("cannot be asked"), "{message}");
    }

    async fn each_client_has_a_quota(stack) {
        let provider = Provider::new("https://idp.corp.example");
        stack.write("jwks.json", &provider.jwks);
        stack.restart_under("{quota: {entries-per-minute: 1, burst: 2}}").await;
        for _ in 0..2 {
            stack.create(&unique_hashedrekord()).await;
        }
        let refused = stack.submit(&unique_hashedrekord()).await;
        let wait: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        let (_, message) = refusal(refused, 429).await;
        assert!(message.starts_with("127.0.0.1 may add 1 entries a minute"), "{message}");
        assert_eq!(stack.get("/api/v1/log").await.status(), 200, "reads are not counted");

        stack.restart_under("{quota: {entries-per-minute: 1, burst: 1}, clients: {tokens: [{issuer: 'https://idp.corp.example', audience: rekor, jwks: DIR/jwks.json}]}}").await;
        for subject in ["one", "two"] {
            let token = provider.token(json!({"sub": subject}));
            assert_eq!(stack.submit_as(&token, &unique_hashedrekord()).await.status(), 201);
            let (_, message) = refusal(stack.submit_as(&token, &unique_hashedrekord()).await, 429).await;
            assert!(message.starts_with(&format!("{subject} of https://idp.corp.example may add")), "{message}");
        }
    }
}

/// A provider of identity tokens.
struct Provider {
    issuer: String,
    jwks: String,
    key: jsonwebtoken::EncodingKey,
}

impl Provider {
    fn new(issuer: &str) -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        // 04 ‖ x ‖ y
        let (x, y) = pair.der_bytes()[1..].split_at(32);
        let jwk = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        });
        Self {
            issuer: issuer.to_owned(),
            jwks: json!({"keys": [jwk]}).to_string(),
            key: jsonwebtoken::EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap(),
        }
    }

    /// A good token, but for `changed`.
    fn token(&self, changed: Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let mut claims = json!({
            "iss": self.issuer, "aud": "rekor", "sub": "ci", "exp": now + 300, "repository": "corp/app",
        });
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::ES256);
        header.kid = Some("k".to_owned());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

/// A private authority with a server certificate and two clients', as files.
fn certificates(directory: &std::path::Path) -> (serve::Tls, reqwest::Certificate, [String; 2]) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (
            params.signed_by(&key, &ca).unwrap().pem(),
            key.serialize_pem(),
        )
    };
    let (certificate, key) = issue("127.0.0.1");
    let write = |name: &str, text: &str| {
        std::fs::write(directory.join(name), text).unwrap();
        directory.join(name)
    };
    let tls = serve::Tls {
        certificate: write("server.pem", &certificate),
        key: write("server.key", &key),
        client_roots: Some(write("roots.pem", &ca.as_ref().pem())),
        client_auth: serve::ClientAuth::Optional,
    };
    let root = reqwest::Certificate::from_pem(ca.as_ref().pem().as_bytes()).unwrap();
    let clients = ["ci.corp.example", "other.example"].map(|name| {
        let (certificate, key) = issue(name);
        certificate + &key
    });
    (tls, root, clients)
}

#[tokio::test]
async fn writers_bring_a_client_certificate() {
    let mut stack = Stack::start(crate::stack::Backend::Sqlite).await;
    stack.stop().await;
    let (tls, root, [known, other]) = certificates(stack.directory.path());
    let directory = stack.directory.path().display().to_string();
    let policy = "write-policy: {clients: {certificates: ['*.corp.example']}}";
    let tls_lines = format!(
        "server: {{tls: {{certificate: {directory}/server.pem, key: {directory}/server.key, client-roots: {directory}/roots.pem, client-auth: optional}}}}"
    );
    let logs = "[{kind: rekor-v1, key: 'file:DIR/log.key'}]";
    let config = stack.config(logs, &format!("{policy}\n{tls_lines}"));
    let store = Arc::clone(&stack.store);
    let service = rekor_rs::Service::open(config, store, clock::SystemClock::shared())
        .await
        .unwrap();
    let listener = serve::listen(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let server = tokio::spawn(serve::serve(
        "rekor",
        listener,
        service.router(),
        Some(tls),
        serve::Limits::default(),
        stop.clone(),
    ));
    let client = |identity: Option<&String>| {
        let builder = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([root.clone()]);
        let builder = match identity {
            Some(pem) => builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap()),
            None => builder,
        };
        builder.build().unwrap()
    };
    let submit = |identity| {
        let request = client(identity).post(format!("{url}/api/v1/log/entries"));
        let request = request.header("content-type", "application/json");
        request.body(unique_hashedrekord().to_string()).send()
    };
    let (_, message) = refusal(submit(None).await.unwrap(), 401).await;
    assert!(
        message.contains("connect with a TLS client certificate"),
        "{message}"
    );
    let (_, message) = refusal(submit(Some(&other)).await.unwrap(), 403).await;
    assert!(message.contains("is for other.example"), "{message}");
    assert_eq!(submit(Some(&known)).await.unwrap().status(), 201);
    let read = client(None)
        .get(format!("{url}/api/v1/log/entries?logIndex=0"))
        .send();
    assert_eq!(read.await.unwrap().status(), 200);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(20), server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_policy_that_cannot_work_is_refused_at_the_start() {
    let mut stack = Stack::start(crate::stack::Backend::Sqlite).await;
    stack.stop().await;
    stack.write("empty.pem", "nothing\n");
    for (policy, says) in [
        ("{signers: {authorities: DIR/none.pem}}", "none.pem"),
        (
            "{signers: {authorities: DIR/empty.pem}}",
            "empty.pem: it holds no certificate",
        ),
        ("{signers: {keys: [DIR/empty.pem]}}", "holds no PEM key"),
        ("{signers: {keys: ['sha256:abc']}}", "64 hexadecimal digits"),
        (
            "{clients: {tokens: [{issuer: 'https://a', audience: x, jwks: DIR/empty.pem}]}}",
            "not a JSON Web Key Set",
        ),
    ] {
        let policy = policy.replace("DIR", &stack.directory.path().display().to_string());
        let config = stack.config(
            "[{kind: rekor-v1, key: 'file:DIR/log.key'}]",
            &format!("write-policy: {policy}"),
        );
        let opened =
            rekor_rs::Service::open(config, stack.store.clone(), clock::SystemClock::shared())
                .await;
        let error = opened.err().unwrap().to_string();
        assert!(
            error.contains("write-policy") && error.contains(says),
            "{error}"
        );
    }
    for (policy, says) in [
        ("{signers: {}}", "nothing could be logged"),
        ("{clients: {}}", "nobody could write"),
        ("{clients: {certificates: []}}", "no pattern"),
        ("{clients: {certificates: ['*']}}", "client-roots"),
        (
            "{clients: {tokens: [{issuer: 'http://a.example', audience: x}]}}",
            "https",
        ),
        (
            "{clients: {tokens: [{issuer: 'https://a', audience: ''}]}}",
            "audience",
        ),
        ("{quota: {entries-per-minute: 0, burst: 1}}", "0"),
        ("{quotas: {}}", "quotas"),
    ] {
        let yaml = format!(
            "hostname: a\nguard-dir: b\nlogs: [{{kind: rekor-v1, key: 'file:k'}}]\nwrite-policy: {policy}\n"
        );
        let error = rekor_rs::Config::parse(&yaml).unwrap_err().to_string();
        assert!(error.contains(says), "{policy}: {error}");
    }
}
