//! Providers behind a private certificate authority, and providers that cannot be asked.

use std::time::Duration;

use serde_json::json;

use crate::client::TOKEN;
use crate::keys::{other_rsa, shared_rsa};
use crate::provider::{Answer, Provider};
use crate::stack::Stack;

/// A certificate for `localhost` by an authority of its own: TLS files, and the authority's PEM.
pub(crate) fn private_authority(directory: &std::path::Path) -> (serve::Tls, String) {
    let root_key = rcgen::KeyPair::generate().unwrap();
    let mut root = rcgen::CertificateParams::new(vec![]).unwrap();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = rcgen::Issuer::new(root, root_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let (certificate_file, key_file) = (directory.join("tls.pem"), directory.join("tls-key.pem"));
    std::fs::write(&certificate_file, leaf.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let tls = serde_json::from_value(json!({"certificate": certificate_file, "key": key_file}));
    (tls.unwrap(), root_certificate.pem())
}

#[tokio::test]
async fn an_issuer_behind_a_private_authority_needs_its_ca_cert() {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let (tls, root) = private_authority(directory.path());
    let (_, other_root) = private_authority(&{
        let other = directory.path().join("other");
        std::fs::create_dir(&other).unwrap();
        other
    });
    for (ca_cert, good) in [
        (Some(&root), true),
        (Some(&format!("{other_root}{root}")), true),
        (Some(&other_root), false),
        (None, false),
    ] {
        let provider = Provider::start_tls(tls.clone()).await;
        let mut issuer = json!({"client-id": "sigstore", "type": "email"});
        if let Some(pem) = ca_cert {
            issuer["ca-cert"] = json!(pem);
        }
        // JSON is YAML.
        let text = format!("oidc-issuers:\n  {}/email: {}\n", provider.url, issuer);
        let stack = Stack::at(provider, |config| {
            config.issuers = fulcio_rs::Issuers::Inline(text);
        })
        .await;
        let answer = stack
            .ask_email(&stack.provider.token(&stack.provider.claims()))
            .await;
        if good {
            answer.chain();
        } else {
            answer.is_refused(TOKEN);
            assert_eq!(stack.provider.requests(), 0);
        }
    }
}

fn write_keys(path: &std::path::Path, keys: &serde_json::Value) {
    // As a deployment does it: a new file in the old one's place.
    let new = path.with_extension("new");
    std::fs::write(&new, json!({"keys": keys}).to_string()).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn pinned_keys_are_used_without_asking_and_read_again_when_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    write_keys(&path, &json!([shared_rsa().jwk("a")]));
    let provider = Provider::start().await;
    provider.change(|behaviour| behaviour.discovery = Answer::Status(500));
    let pinned = ["email", "tenant/x"].map(|name| format!("{}/{name}", provider.url));
    let stack = Stack::at(provider, |config| {
        // Every other issuer is asked, and this test counts.
        let issuers = format!(
            "oidc-issuers: {{{}: {{client-id: sigstore, type: email}}}}\nmeta-issuers: {{{}: {{client-id: sigstore, type: email}}}}",
            pinned[0],
            pinned[1].replace("/x", "/*")
        );
        config.issuers = fulcio_rs::Issuers::Inline(issuers);
        config.pinned_jwks = pinned.iter().map(|url| (url.clone(), path.clone())).collect();
    })
    .await;
    let claims = stack.provider.claims();
    let (old, new) = (
        shared_rsa().token(Some("a"), &claims),
        other_rsa().token(Some("b"), &claims),
    );
    stack.ask_email(&old).await.chain();
    stack.ask_email(&new).await.is_refused(TOKEN);
    let tenant = stack.provider.token_with(json!({"iss": pinned[1]}));
    stack.ask_email(&tenant).await.chain();

    // A broken file changes nothing.
    std::fs::write(&path, "{").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stack.ask_email(&old).await.chain();

    write_keys(&path, &json!([other_rsa().jwk("b")]));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stack.ask_email(&new).await.chain();
    stack.ask_email(&old).await.is_refused(TOKEN);
    assert_eq!(stack.provider.requests(), 0);
}

#[tokio::test]
async fn pinned_keys_that_cannot_work_stop_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.json");
    let refusal = async |text: &str, issuer: &str| {
        std::fs::write(&path, text).unwrap();
        let mut config =
            crate::stack::config("oidc-issuers: {https://a.example: {client-id: s, type: email}}")
                .await;
        config.pinned_jwks = [(issuer.to_owned(), path.clone())].into();
        match fulcio_rs::Service::open(config, clock::SystemClock::shared()).await {
            Ok(_) => panic!("it started with {text}"),
            Err(error) => error.to_string(),
        }
    };
    let a = "https://a.example";
    assert!(refusal("{", a).await.contains("not a JSON Web Key Set"));
    assert!(refusal(r#"{"keys":[]}"#, a).await.contains("no key"));
    assert!(
        refusal(r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, a)
            .await
            .contains("no key")
    );
    assert!(
        refusal("{}", "https://b.example")
            .await
            .contains("not the URL")
    );
}
