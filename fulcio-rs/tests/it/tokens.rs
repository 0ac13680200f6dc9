//! Which tokens are believed.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::client::{Answer, SIGNATURE, TOKEN, request};
use crate::keys::{Key, other_rsa, shared_rsa, unsigned};
use crate::provider::{self, Provider, now, with};
use crate::stack::Stack;

#[tokio::test]
async fn expiry_has_no_leeway_and_not_before_has_five_minutes() {
    let stack = Stack::start().await;
    let now = now();
    for (changes, good) in [
        (json!({"exp": now - 1}), false),
        (json!({"exp": null}), false),
        (json!({"exp": now + 5}), true),
        (json!({"exp": "9999999999"}), false),
        (json!({"nbf": now + 240}), true),
        (json!({"nbf": now + 360}), false),
        (json!({"iat": null}), true),
        (json!({"iat": now + 3600}), true),
    ] {
        let answer = stack
            .ask_email(&stack.provider.token_with(changes.clone()))
            .await;
        if good {
            answer.chain();
        } else {
            answer.is_refused(TOKEN);
        }
    }
}

#[tokio::test]
async fn the_audience_must_be_ours() {
    let stack = Stack::start().await;
    for (audience, good) in [
        (json!(["other", "sigstore"]), true),
        (json!("other"), false),
        (json!([]), false),
        (json!(null), false),
    ] {
        let answer = stack
            .ask_email(&stack.provider.token_with(json!({"aud": audience})))
            .await;
        if good {
            answer.chain();
        } else {
            answer.is_refused(TOKEN);
        }
    }
}

#[tokio::test]
async fn unsigned_tokens_and_public_keys_as_secrets_are_refused() {
    let stack = Stack::start().await;
    // Even a provider that advertises them.
    stack
        .provider
        .change(|behaviour| behaviour.algorithms = Some(vec!["none", "HS256", "RS256"]));
    let claims = stack.provider.claims();
    for algorithm in ["none", "None", "nOnE", ""] {
        let text = unsigned(&json!({"alg": algorithm}), &claims);
        stack.ask_email(&format!("{text}.")).await.is_refused(TOKEN);
        stack
            .ask_email(&format!("{text}.AAAA"))
            .await
            .is_refused(TOKEN);
    }
    for secret in [shared_rsa().pem().into_bytes(), shared_rsa().spki()] {
        let text = unsigned(&json!({"alg": "HS256", "kid": "a"}), &claims);
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
        let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
        stack
            .ask_email(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag)))
            .await
            .is_refused(TOKEN);
    }
    stack
        .ask_email(&stack.provider.token(&claims))
        .await
        .chain();
}

#[tokio::test]
async fn only_advertised_algorithms_count() {
    let ec = Key::p256();
    for (advertised, rsa_is_good, ec_is_good) in [
        (Some(vec!["RS256"]), true, false),
        (Some(vec!["ES256"]), false, true),
        (Some(vec!["RS256", "ES256"]), true, true),
        (None, true, false),
    ] {
        let provider = Provider::start().await;
        provider.change(|behaviour| {
            behaviour.keys = vec![shared_rsa().jwk("a"), ec.jwk("e")];
            behaviour.algorithms = advertised.clone();
        });
        let stack = Stack::at(provider, |_| ()).await;
        let claims = stack.provider.claims();
        for (token, good) in [
            (stack.provider.token(&claims), rsa_is_good),
            (ec.token(Some("e"), &claims), ec_is_good),
        ] {
            let answer = stack.ask_email(&token).await;
            assert_eq!(
                answer.status,
                if good { 200 } else { 400 },
                "{advertised:?} {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn ed25519_and_p384_tokens_verify() {
    let keys = [(Key::ed25519(), "EdDSA"), (Key::p384(), "ES384")];
    let provider = Provider::start().await;
    provider.change(|behaviour| {
        behaviour.keys = keys.iter().map(|(key, name)| key.jwk(name)).collect();
        behaviour.algorithms = Some(vec!["EdDSA", "ES384"]);
    });
    let stack = Stack::at(provider, |_| ()).await;
    let claims = stack.provider.claims();
    stack
        .ask_email(&keys[0].0.token(Some("EdDSA"), &claims))
        .await
        .chain();
    let text = unsigned(&json!({"alg": "ES384", "kid": "ES384"}), &claims);
    let signature = keys[1].0.sign_fixed(text.as_bytes());
    stack
        .ask_email(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
        .await
        .chain();
}

#[tokio::test]
async fn rotated_keys_are_found_with_one_fetch() {
    let stack = Stack::start().await;
    let claims = stack.provider.claims();
    stack
        .ask_email(&stack.provider.token(&claims))
        .await
        .chain();
    let before = stack.provider.key_fetches();
    stack
        .provider
        .change(|behaviour| behaviour.keys = vec![other_rsa().jwk("b"), shared_rsa().jwk("a")]);
    let rotated = other_rsa().token(Some("b"), &claims);
    let answers = (0..8).map(|_| stack.ask_email(&rotated));
    for answer in futures::future::join_all(answers).await {
        answer.chain();
    }
    assert_eq!(stack.provider.key_fetches(), before + 1);
    // Without a key id, every key is tried.
    stack
        .ask_email(&other_rsa().token(None, &claims))
        .await
        .chain();
    stack
        .ask_email(&shared_rsa().token(None, &claims))
        .await
        .chain();
    assert_eq!(stack.provider.key_fetches(), before + 1);
}

#[tokio::test]
async fn bad_signatures_do_not_become_requests_to_the_provider() {
    let stack = Stack::start().await;
    let claims = stack.provider.claims();
    stack
        .ask_email(&stack.provider.token(&claims))
        .await
        .chain();
    let before = stack.provider.requests();
    let bad = other_rsa().token(Some("a"), &claims);
    let unknown = other_rsa().token(Some("zzz"), &claims);
    let body = request(&bad, &Key::p256(), "x");
    for _ in 0..20 {
        let answers = (0..50).map(|_| stack.post(&body));
        for answer in futures::future::join_all(answers).await {
            answer.is_refused(TOKEN);
        }
        stack.ask_email(&unknown).await.is_refused(TOKEN);
    }
    assert!(
        stack.provider.requests() <= before + 1,
        "{}",
        stack.provider.requests() - before
    );
    stack
        .ask_email(&stack.provider.token(&claims))
        .await
        .chain();
}

#[tokio::test]
async fn altered_tokens_are_refused() {
    let stack = Stack::start().await;
    let good = stack.provider.token(&stack.provider.claims());
    let parts: Vec<_> = good.split('.').collect();
    let other = stack
        .provider
        .token_with(json!({"email": "boss@corp.example"}));
    let swapped = format!(
        "{}.{}.{}",
        parts[0],
        other.split('.').nth(1).unwrap(),
        parts[2]
    );
    stack
        .ask(&swapped, "boss@corp.example")
        .await
        .is_refused(TOKEN);
    // A signed token whose payload is padded.
    let payload = (0..3)
        .map(|length| {
            with(
                stack.provider.claims(),
                json!({"filler": "x".repeat(length)}),
            )
            .to_string()
        })
        .map(|claims| URL_SAFE.encode(claims))
        .find(|payload| payload.ends_with('='))
        .unwrap();
    let signed = format!("{}.{payload}", parts[0]);
    let padded = format!(
        "{signed}.{}",
        URL_SAFE_NO_PAD.encode(shared_rsa().sign(signed.as_bytes()))
    );
    for bad in [
        padded,
        format!("{good}.x"),
        format!("{}.{}", parts[0], parts[1]),
        format!(".{}.{}", parts[1], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
    ] {
        stack.ask_email(&bad).await.is_refused(TOKEN);
    }
    stack.ask_email(&format!("{good}\n")).await.chain();
}

#[tokio::test]
async fn a_token_of_nothing_but_dots_is_refused_at_once() {
    let stack = Stack::start().await;
    let start = std::time::Instant::now();
    for text in [
        ".".repeat(3 << 20),
        format!("..{}", "A".repeat(3 << 20)),
        "a.".repeat(1 << 20),
    ] {
        stack.ask_email(&text).await.is_refused(TOKEN);
    }
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn unknown_issuers_cost_no_request() {
    let stack = Stack::start().await;
    stack
        .ask_email(&stack.provider.token(&stack.provider.claims()))
        .await
        .chain();
    let stranger = Provider::start().await;
    let before = stack.provider.requests();
    for issuer in [
        format!("{}/email/", stack.provider.url),
        format!("{}/nobody", stack.provider.url),
        format!("{}/EMAIL", stack.provider.url),
        format!("{}/email", stranger.url),
        format!("{}/tenant/a/b", stack.provider.url),
        format!("{}/tenant/a.b", stack.provider.url),
        format!("{}/?x={}/tenant/a", stranger.url, stack.provider.url),
        String::new(),
    ] {
        stack
            .ask_email(&stack.provider.token_with(json!({"iss": issuer})))
            .await
            .is_refused(TOKEN);
    }
    assert_eq!(
        (stack.provider.requests(), stranger.requests()),
        (before, 0)
    );
}

#[tokio::test]
async fn wildcard_issuers_are_asked_themselves() {
    let stack = Stack::start().await;
    let issuer = format!("{}/tenant/a-1", stack.provider.url);
    let token = stack.provider.token_with(json!({"iss": issuer}));
    let der = stack.ask_email(&token).await.leaf();
    assert!(crate::certificates::sigstore(&der).contains(&(1, issuer.into_bytes())));
}

#[tokio::test]
async fn one_issuers_key_does_not_sign_for_another() {
    // Two providers, each with its own key; a token names one and is signed by the other's key.
    let victim = Provider::start().await;
    let attacker = Provider::start().await;
    attacker.change(|behaviour| behaviour.keys = vec![other_rsa().jwk("a")]);
    let attacker_url = attacker.url.clone();
    let stack = Stack::at(victim, |config| {
        let fulcio_rs::Issuers::Inline(text) = &mut config.issuers else {
            panic!()
        };
        *text = text.replacen(
            "oidc-issuers:\n",
            &format!(
                "oidc-issuers:\n  {attacker_url}/email: {{client-id: sigstore, type: email}}\n"
            ),
            1,
        );
    })
    .await;
    let forged = other_rsa().token(Some("a"), &stack.provider.claims());
    stack.ask_email(&forged).await.is_refused(TOKEN);
    let own = other_rsa().token(Some("a"), &attacker.claims());
    stack.ask_email(&own).await.chain();
    // A token that carries its own key.
    let header = json!({"alg": "RS256", "kid": "x", "jwk": other_rsa().jwk("x"), "jku": format!("{}/keys", attacker.url)});
    let text = unsigned(&header, &stack.provider.claims());
    let signature = URL_SAFE_NO_PAD.encode(other_rsa().sign(text.as_bytes()));
    stack
        .ask_email(&format!("{text}.{signature}"))
        .await
        .is_refused(TOKEN);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = Provider::start().await;
    for redirect_keys in [false, true] {
        for to in [format!("{}/stolen", target.url), "/loop".to_owned()] {
            let provider = Provider::start().await;
            provider.change(|behaviour| {
                let answer = provider::Answer::Redirect(to.clone());
                if redirect_keys {
                    behaviour.jwks = answer;
                } else {
                    behaviour.discovery = answer;
                }
            });
            let stack = Stack::at(provider, |_| ()).await;
            stack
                .ask_email(&stack.provider.token(&stack.provider.claims()))
                .await
                .is_refused(TOKEN);
            assert!(
                stack.provider.requests() < 60,
                "{}",
                stack.provider.requests()
            );
        }
    }
    assert_eq!(target.requests(), 0);
}

#[tokio::test]
async fn endless_documents_are_cut_off() {
    for endless_keys in [false, true] {
        let provider = Provider::start().await;
        provider.change(|behaviour| {
            let answer = provider::Answer::Endless;
            if endless_keys {
                behaviour.jwks = answer;
            } else {
                behaviour.discovery = answer;
            }
        });
        let stack = Stack::at(provider, |_| ()).await;
        let start = std::time::Instant::now();
        stack
            .ask_email(&stack.provider.token(&stack.provider.claims()))
            .await
            .is_refused(TOKEN);
        assert!(start.elapsed() < Duration::from_secs(8));
    }
}

#[tokio::test]
async fn discovery_must_name_its_issuer_and_reachable_keys() {
    for change in [
        (|behaviour: &mut provider::Behaviour| {
            behaviour.issuer = Some("http://127.0.0.1:1/email".to_owned())
        }) as fn(&mut provider::Behaviour),
        |behaviour| behaviour.jwks_uri = Some("http://keys.example/keys".to_owned()),
        |behaviour| behaviour.jwks_uri = Some("file:///etc/passwd".to_owned()),
        |behaviour| behaviour.jwks = provider::Answer::Status(500),
        |behaviour| behaviour.keys = vec![],
    ] {
        let provider = Provider::start().await;
        provider.change(change);
        let stack = Stack::at(provider, |_| ()).await;
        stack
            .ask_email(&stack.provider.token(&stack.provider.claims()))
            .await
            .is_refused(TOKEN);
    }
}

#[tokio::test]
async fn a_provider_that_was_down_at_start_is_asked_again() {
    let sleeping = Provider::start().await;
    sleeping.change(|behaviour| behaviour.discovery = provider::Answer::Status(503));
    let stack = Stack::at(sleeping, |_| ()).await;
    let token = stack.provider.token(&stack.provider.claims());
    stack.ask_email(&token).await.is_refused(TOKEN);
    stack
        .provider
        .change(|behaviour| behaviour.discovery = provider::Answer::Good);
    tokio::time::sleep(Duration::from_millis(100)).await;
    stack.ask_email(&token).await.chain();
}

#[tokio::test]
async fn known_keys_outlive_their_providers_outage() {
    let provider = Provider::start().await;
    let stack = Stack::at(provider, |config| {
        config.refresh.max_age = Duration::ZERO;
        config.refresh.after_failure = Duration::ZERO;
    })
    .await;
    let token = stack.provider.token(&stack.provider.claims());
    stack.ask_email(&token).await.chain();
    stack
        .provider
        .change(|behaviour| behaviour.discovery = provider::Answer::Status(500));
    stack.ask_email(&token).await.chain();
    stack
        .provider
        .change(|behaviour| behaviour.jwks = provider::Answer::Status(500));
    stack.ask_email(&token).await.chain();
}

#[tokio::test]
async fn a_good_token_does_not_help_without_the_key() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let mut body = request(&token, &Key::p256(), "dev@corp.example");
    body["publicKeyRequest"]["publicKey"]["content"] = Value::from(Key::p256().pem());
    let answer: Answer = stack.post(&body).await;
    answer.is_refused(SIGNATURE);
    assert!(stack.log.submissions().is_empty());
}
