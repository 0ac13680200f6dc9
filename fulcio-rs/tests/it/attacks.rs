//! Hostile requests: none gets a certificate, each gets the contract's answer, and the service
//! goes on. What is about tokens alone is in `tokens`; what is about proofs alone in `proofs`.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use num_bigint::BigUint;
use serde_json::json;

use crate::client::{Answer, INSECURE, KEY, SIGNATURE, TOKEN, body, csr_body, request};
use crate::keys::{Key, other_rsa, shared_rsa, unsigned};
use crate::provider::{self, Provider, now, with};
use crate::stack::Stack;

const EMAIL: &str = "dev@corp.example";

/// The service goes on, and nothing that was tried reached the log.
async fn goes_on(stack: &Stack) {
    assert!(stack.log.submissions().is_empty());
    stack
        .ask_email(&stack.provider.token(&stack.provider.claims()))
        .await
        .chain();
}

#[tokio::test]
async fn deep_json_is_refused() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for text in [
        deep(100_000),
        format!(r#"{{"x":{}}}"#, deep(1_000_000)),
        format!(
            r#"{{"credentials":{}"#,
            r#"{"credentials":"#.repeat(100_000)
        ),
        format!(r#"{{"publicKeyRequest":{{"publicKey":{}}}}}"#, deep(200)),
    ] {
        for call in [stack.v2(), stack.v1()] {
            let answer = Answer::of(call.bearer_auth(&token).body(text.clone())).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.json()["code"]),
                (400, &json!(3)),
                "{text:.40}"
            );
        }
    }
    // In a token's payload, which is kept.
    let claims = stack.provider.claims().to_string();
    let claims = claims.trim_end_matches('}');
    let signed_token = |header: String, payload: String| {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(payload)
        );
        let signature = URL_SAFE_NO_PAD.encode(shared_rsa().sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    };
    let header = json!({"alg": "RS256", "kid": "a"}).to_string();
    let payload = format!(r#"{claims},"x":{}}}"#, deep(10_000));
    stack
        .ask_email(&signed_token(header, payload))
        .await
        .is_refused(TOKEN);
    goes_on(&stack).await;
    // In its header, a member that nobody looks at is skipped, at no cost in stack.
    let header = format!(r#"{{"alg":"RS256","x":{}}}"#, deep(10_000));
    stack
        .ask_email(&signed_token(header, format!("{claims}}}")))
        .await
        .chain();
}

#[tokio::test]
async fn a_key_id_that_points_elsewhere_is_a_name_and_nothing_more() {
    let stack = Stack::start().await;
    let attacker = Provider::start().await;
    attacker.change(|behaviour| behaviour.keys = vec![other_rsa().jwk("x")]);
    let claims = stack.provider.claims();
    stack
        .ask_email(&stack.provider.token(&claims))
        .await
        .chain();
    let submitted = stack.log.submissions().len();
    let keys = format!("{}/email/keys", attacker.url);
    for header in [
        json!({"alg": "RS256", "kid": keys}),
        json!({"alg": "RS256", "kid": "../../../../dev/null"}),
        json!({"alg": "RS256", "kid": "file:///dev/null"}),
        json!({"alg": "RS256", "kid": "x' UNION SELECT 'a"}),
        json!({"alg": "RS256", "kid": "k".repeat(40_000)}),
        json!({"alg": "RS256", "kid": ["a"]}),
        json!({"alg": "RS256", "kid": "x", "jku": keys, "x5u": keys}),
        json!({"alg": "RS256", "kid": "a", "jwk": other_rsa().jwk("a")}),
    ] {
        let text = unsigned(&header, &claims);
        let signature = URL_SAFE_NO_PAD.encode(other_rsa().sign(text.as_bytes()));
        stack
            .ask_email(&format!("{text}.{signature}"))
            .await
            .is_refused(TOKEN);
    }
    assert_eq!(attacker.requests(), 0);
    assert_eq!(stack.log.submissions().len(), submitted);
}

#[tokio::test]
async fn key_sets_that_are_bombs_cost_little_and_verify_nothing() {
    let huge = URL_SAFE_NO_PAD.encode(vec![0xff; 300_000]);
    let many: Vec<_> = (0..1_000).map(|_| other_rsa().jwk("a")).collect();
    let late = [
        vec![json!({"kty": "oct", "kid": "a", "k": "AA"}); 400],
        vec![shared_rsa().jwk("a")],
    ]
    .concat();
    for keys in [
        // More keys than are looked at: none of the first is the signer's.
        many,
        late,
        // A modulus of 300 kB, and an exponent of as many.
        vec![json!({"kty": "RSA", "kid": "a", "n": huge, "e": "AQAB"})],
        vec![json!({"kty": "RSA", "kid": "a", "n": shared_rsa().jwk("a")["n"], "e": huge})],
        // Points that are on no curve.
        vec![json!({"kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA"})],
    ] {
        let provider = Provider::start().await;
        provider.change(|behaviour| behaviour.keys = keys);
        let stack = Stack::at(provider, |_| ()).await;
        let start = Instant::now();
        for _ in 0..3 {
            stack
                .ask_email(&stack.provider.token(&stack.provider.claims()))
                .await
                .is_refused(TOKEN);
        }
        assert!(start.elapsed() < Duration::from_secs(8));
        assert!(stack.log.submissions().is_empty());
    }
}

#[tokio::test]
async fn a_trailing_slash_makes_another_issuer() {
    let provider = Provider::start().await;
    // The provider of `URL/email` names itself without the slash.
    let url = provider.url.clone();
    let issuers = format!("oidc-issuers: {{{url}/email/: {{client-id: sigstore, type: email}}}}");
    let stack = Stack::at(provider, |config| {
        config.issuers = fulcio_rs::Issuers::Inline(issuers);
    })
    .await;
    let with_slash = json!({"iss": format!("{url}/email/")});
    for issuer in [json!({}), with_slash.clone()] {
        stack
            .ask_email(&stack.provider.token_with(issuer))
            .await
            .is_refused(TOKEN);
    }
    // One that names itself as it is configured is believed, under that name alone.
    stack
        .provider
        .change(|behaviour| behaviour.issuer = Some(format!("{url}/email/")));
    tokio::time::sleep(Duration::from_millis(100)).await;
    stack
        .ask_email(&stack.provider.token_with(with_slash))
        .await
        .chain();
    stack
        .ask_email(&stack.provider.token_with(json!({})))
        .await
        .is_refused(TOKEN);
}

#[tokio::test]
async fn a_wildcard_does_not_reach_over_the_border_of_a_name() {
    let stack = Stack::start().await;
    let before = stack.provider.requests();
    let tenant = format!("{}/tenant", stack.provider.url);
    let port = stack.provider.url.rsplit_once(':').unwrap().1.to_owned();
    for issuer in [
        format!("{tenant}/"),
        format!("{tenant}/*"),
        format!("{tenant}/a/"),
        format!("{tenant}/a?b"),
        format!("{tenant}/a#b"),
        format!("{tenant}/a%2Fb"),
        format!("{tenant}/a\n"),
        format!("{tenant}/ä"),
        format!("{tenant}/../email"),
        format!("http://user@127.0.0.1:{port}/tenant/a"),
        format!("HTTP://127.0.0.1:{port}/tenant/a"),
        format!("http://localhost:{port}/tenant/a"),
        format!("https://127.0.0.1:{port}/tenant/a"),
    ] {
        stack
            .ask_email(&stack.provider.token_with(json!({"iss": issuer})))
            .await
            .is_refused(TOKEN);
    }
    assert!(stack.log.submissions().is_empty());
    // Only what was asked at the start.
    assert!(stack.provider.requests() <= before + 2 * 11);
}

#[tokio::test]
async fn a_token_that_was_good_is_refused_once_it_expires() {
    let stack = Stack::start().await;
    let expiry = now() + 3;
    let token = stack.provider.token_with(json!({"exp": expiry}));
    stack.ask_email(&token).await.chain();
    // Until then it is good again and again: `jti` is not looked at, as at the reference.
    stack.ask_email(&token).await.chain();
    while now() <= expiry {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stack.ask_email(&token).await.is_refused(TOKEN);
}

#[tokio::test]
async fn one_issuers_private_authority_is_not_anothers() {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let (tls, root) = crate::private::private_authority(directory.path());
    let [trusted, other] = [
        Provider::start_tls(tls.clone()).await,
        Provider::start_tls(tls).await,
    ];
    let issuer = json!({"client-id": "sigstore", "type": "email"});
    let text = format!(
        "oidc-issuers:\n  {}/email: {}\n  {}/email: {issuer}\n",
        trusted.url,
        with(issuer.clone(), json!({"ca-cert": root})),
        other.url,
    );
    let stack = Stack::at(trusted, |config| {
        config.issuers = fulcio_rs::Issuers::Inline(text);
    })
    .await;
    stack
        .ask_email(&other.token(&other.claims()))
        .await
        .is_refused(TOKEN);
    assert_eq!(other.requests(), 0);
    stack
        .ask_email(&stack.provider.token(&stack.provider.claims()))
        .await
        .chain();
}

#[tokio::test]
async fn failed_tokens_ask_for_keys_once_an_interval_and_no_more() {
    let interval = Duration::from_millis(300);
    let provider = Provider::start().await;
    let stack = Stack::at(provider, |config| config.refresh.interval = interval).await;
    let claims = stack.provider.claims();
    stack
        .ask_email(&stack.provider.token(&claims))
        .await
        .chain();
    let (before, start) = (stack.provider.key_fetches(), Instant::now());
    let unknown = other_rsa().token(Some("unknown"), &claims);
    while start.elapsed() < 4 * interval {
        stack.ask_email(&unknown).await.is_refused(TOKEN);
    }
    let fetches = stack.provider.key_fetches() - before;
    let intervals = start.elapsed().as_millis() / interval.as_millis();
    assert!(fetches >= 2, "a rotation would not be noticed");
    assert!(
        fetches as u128 <= intervals + 1,
        "{fetches} in {intervals} intervals"
    );
}

#[tokio::test]
async fn nobody_is_asked_while_a_provider_that_failed_cools_down() {
    let provider = Provider::start().await;
    provider.change(|behaviour| behaviour.discovery = provider::Answer::Status(500));
    let url = provider.url.clone();
    let stack = Stack::at(provider, |config| {
        config.issuers = fulcio_rs::Issuers::Inline(format!(
            "oidc-issuers: {{{url}/email: {{client-id: sigstore, type: email}}}}"
        ));
        config.refresh.after_failure = Duration::from_secs(60);
    })
    .await;
    let token = stack.provider.token(&stack.provider.claims());
    let answers = (0..50).map(|_| stack.ask_email(&token));
    for answer in futures::future::join_all(answers).await {
        answer.is_refused(TOKEN);
    }
    assert_eq!(stack.provider.requests(), 1);
}

/// PEM of an RSA key with this modulus and exponent.
fn rsa_pem(modulus: &BigUint, exponent: u32) -> String {
    let integer = |number: &BigUint| {
        let mut content = number.to_bytes_be();
        if content.first().is_none_or(|byte| *byte >= 0x80) {
            content.insert(0, 0);
        }
        crate::proofs::tlv(2, &content)
    };
    let key = crate::proofs::tlv(
        0x30,
        &[integer(modulus), integer(&BigUint::from(exponent))].concat(),
    );
    pem::encode(&pem::Pem::new("RSA PUBLIC KEY", key))
}

/// A modulus without small factors near 2 to the power of `bits`; nobody knows its factors.
fn rough(bits: u64, seed: u8) -> BigUint {
    let mut number = (BigUint::from(3_u32) << (bits - 2)) + BigUint::from(1_u32);
    number +=
        BigUint::from_bytes_be(&vec![seed | 1; usize::try_from(bits).unwrap() / 8 - 8]) << 1_u32;
    while (3_u32..752).any(|divisor| &number % divisor == BigUint::ZERO) {
        number += 2_u32;
    }
    number
}

#[tokio::test]
async fn rsa_keys_that_can_be_factored_are_refused() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let half = rough(1024, 0x5d);
    let primorial = (2_u32..=167)
        .filter(|number| (2..*number).all(|divisor| number % divisor != 0))
        .fold(BigUint::from(1_u32), |product, prime| product * prime);
    // What the flawed generator of Infineon made: a power of 65537 modulo the primorial.
    let mut infineon = rough(2048, 0x71) / &primorial * &primorial
        + BigUint::from(65_537_u32).modpow(&BigUint::from(17_u32), &primorial);
    while (169_u32..752).any(|divisor| &infineon % divisor == BigUint::ZERO) {
        infineon -= &primorial;
    }
    let mut divisible = rough(2048, 0x33);
    while &divisible % 743_u32 != BigUint::ZERO {
        divisible += 2_u32;
    }
    let sound = rough(2048, 0x2f);
    for (what, modulus, exponent) in [
        (
            "close factors",
            &half * (&half + BigUint::from(2_u32)),
            65_537,
        ),
        ("one factor twice", &half * &half, 65_537),
        ("ROCA", infineon, 65_537),
        ("a small factor", divisible, 65_537),
        ("exponent 1", sound.clone(), 1),
        ("exponent 3", sound.clone(), 3),
        ("exponent 0", sound.clone(), 0),
        ("an even exponent", sound.clone(), 65_536),
        ("an even modulus", &sound + BigUint::from(1_u32), 65_537),
    ] {
        let answer = stack
            .post(&body(&token, &rsa_pem(&modulus, exponent), &[1; 256]))
            .await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        let message = answer.json()["message"].clone();
        assert!(message == INSECURE || message == KEY, "{what}: {message}");
    }
    // The control: this one fails for its signature.
    stack
        .post(&body(&token, &rsa_pem(&sound, 65_537), &[1; 256]))
        .await
        .is_refused(SIGNATURE);
    goes_on(&stack).await;
}

#[tokio::test]
async fn points_off_their_curve_are_refused() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let pem_of = |spki: Vec<u8>| pem::encode(&pem::Pem::new("PUBLIC KEY", spki));
    for key in [Key::p256(), Key::p384(), Key::p521()] {
        let spki = key.spki();
        let mut off = spki.clone();
        *off.last_mut().unwrap() ^= 1;
        let mut zero = spki.clone();
        let point = match key.jwk("")["crv"].as_str().unwrap() {
            "P-256" => 64,
            "P-384" => 96,
            _ => 132,
        };
        let start = zero.len() - point;
        zero[start..].fill(0);
        let mut beyond = spki.clone();
        beyond[start..].fill(0xff);
        let mut compressed = spki.clone();
        compressed[start - 1] = 2;
        for bad in [off, zero, beyond, compressed] {
            stack
                .post(&body(&token, &pem_of(bad), &key.sign(EMAIL.as_bytes())))
                .await
                .is_refused(KEY);
        }
    }
    // The coordinates of another curve's point under this curve's name.
    let (p256, p384) = (Key::p256().spki(), Key::p384().spki());
    let mut mixed = p256.clone();
    let at = mixed.len() - 64;
    mixed[at..].copy_from_slice(&p384[p384.len() - 64..]);
    stack
        .post(&body(&token, &pem_of(mixed), b"signature"))
        .await
        .is_refused(KEY);
    // A request: the same key, the same answer's family.
    let text = crate::proofs::csr(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut der = pem::parse(text).unwrap().into_contents();
    let uncompressed = der
        .windows(4)
        .position(|window| window == [3, 66, 0, 4])
        .unwrap();
    der[uncompressed + 10] ^= 1;
    let off = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der));
    let answer = stack.post(&csr_body(&token, &off)).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    goes_on(&stack).await;
}

#[tokio::test]
async fn raw_and_der_signatures_do_not_mix() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let key = Key::p256();
    let (der, raw) = (key.sign(EMAIL.as_bytes()), key.sign_fixed(EMAIL.as_bytes()));
    let (r, s) = raw.split_at(32);
    let mut long_form = vec![0x30, 0x81];
    long_form.extend(&der[1..]);
    let padded = {
        // r with a zero too many.
        let mut inner = vec![2, der[3] + 1, 0];
        inner.extend(&der[4..]);
        crate::proofs::tlv(0x30, &inner)
    };
    for bad in [
        [&der[..], &raw[..]].concat(),
        [&raw[..], &der[..]].concat(),
        [&der[..], &[0]].concat(),
        [&raw[..], &[0]].concat(),
        [&[0][..], &raw[..]].concat(),
        raw[..63].to_vec(),
        der[..der.len() - 1].to_vec(),
        [&[4][..], &raw[..]].concat(),
        crate::proofs::tlv(4, &der),
        long_form,
        padded,
        [s, r].concat(),
        [r, &[0; 32]].concat(),
        [&[0; 32][..], s].concat(),
        vec![0x30, 6, 2, 1, 0, 2, 1, 0],
        // The halves widened as another curve has them.
        [&[0; 16][..], r, &[0; 16], s].concat(),
    ] {
        stack
            .post(&body(&token, &key.pem(), &bad))
            .await
            .is_refused(SIGNATURE);
    }
    assert!(stack.log.submissions().is_empty());
    for good in [der, raw] {
        stack.post(&body(&token, &key.pem(), &good)).await.chain();
    }
}

/// A request for the key in `spki`, signed by `signer` (P-256) as `sign` says.
fn csr(spki: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    use crate::proofs::tlv;
    let info = tlv(0x30, &[&[2, 1, 0, 0x30, 0][..], spki, &[0xa0, 0]].concat());
    let algorithm = [0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let signature = tlv(3, &[&[0][..], &sign(&info)].concat());
    let der = tlv(0x30, &[&info[..], &algorithm, &signature].concat());
    pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", der))
}

#[tokio::test]
async fn a_request_must_be_signed_by_its_own_key_and_in_der() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let (own, victim) = (Key::p256(), Key::p256());
    let ask = async |pem: &str| stack.post(&csr_body(&token, pem)).await;
    ask(&csr(&victim.spki(), |info| own.sign(info)))
        .await
        .is_refused(SIGNATURE);
    // Of another kind than the signature says.
    ask(&csr(&shared_rsa().spki(), |info| own.sign(info)))
        .await
        .is_refused(SIGNATURE);
    ask(&csr(&Key::ed25519().spki(), |info| own.sign(info)))
        .await
        .is_refused(SIGNATURE);
    ask(&csr(&own.spki(), |info| own.sign_fixed(info)))
        .await
        .is_refused(SIGNATURE);
    assert!(stack.log.submissions().is_empty());
    ask(&csr(&own.spki(), |info| own.sign(info))).await.chain();
}

#[tokio::test]
async fn a_prehashed_ed25519_signature_proves_nothing() {
    use sha2::Digest;
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let spki = [
        &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..],
        key.verifying_key().as_bytes(),
    ]
    .concat();
    let pem = pem::encode(&pem::Pem::new("PUBLIC KEY", spki));
    let digest = sha2::Sha512::new_with_prefix(EMAIL);
    let prehashed = key.sign_prehashed(digest, None).unwrap();
    stack
        .post(&body(&token, &pem, &prehashed.to_bytes()))
        .await
        .is_refused(SIGNATURE);
    let pure = ed25519_dalek::Signer::sign(&key, EMAIL.as_bytes());
    stack
        .post(&body(&token, &pem, &pure.to_bytes()))
        .await
        .chain();
}

#[tokio::test]
async fn what_only_looks_like_json_is_refused() {
    let stack = Stack::start().await;
    let token = stack.provider.token(&stack.provider.claims());
    let good = request(&token, &Key::p256(), EMAIL).to_string();
    // A byte order mark, a comment, a trailing comma, UTF-16, an incomplete surrogate.
    for bad in [
        format!("\u{feff}{good}").into_bytes(),
        format!("/* */{good}").into_bytes(),
        good.replacen("},", "},,", 1).into_bytes(),
        good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        good.replacen("ECDSA", "\\ud800", 1).into_bytes(),
        good.replacen("ECDSA", "\u{1}", 1).into_bytes(),
        STANDARD.encode(&good).into_bytes(),
        [good.as_bytes()[..20].to_vec(), vec![0xff; 8]].concat(),
    ] {
        let answer = Answer::of(stack.v2().body(bad)).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["code"]),
            (400, &json!(3)),
            "{answer:?}"
        );
    }
    goes_on(&stack).await;
}
