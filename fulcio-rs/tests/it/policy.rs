//! Issuance policy, over the API and on the command line.

use serde_json::json;

use crate::certificates::parse;
use crate::provider::Provider;
use crate::stack::{Lines, Stack, authority, identity};
use crate::startup::run;

fn policy(url: &str) -> fulcio_rs::policy::Policies {
    serde_saphyr::from_str(&rules(url)).unwrap()
}

fn rules(url: &str) -> String {
    format!(
        "{url}/email:\n  - {{name: admins, claims: {{groups: [admins]}}}}\n  - {{name: staff, email-domains: [corp.example], lifetime-seconds: 180}}\n"
    )
}

#[tokio::test]
async fn tokens_that_no_rule_allows_get_no_certificate_and_a_reason() {
    let provider = Provider::start().await;
    let rules = policy(&provider.url);
    let stack = Stack::at(provider, |config| config.policy = rules).await;
    let other = stack
        .provider
        .token_with(json!({"email": "dev@other.example"}));
    let message = format!(
        r#"the policy for {}/email does not allow this token: rule "admins" requires the claim "groups"; rule "staff" requires an e-mail address in corp.example, and it is "dev@other.example"."#,
        stack.provider.url
    );
    stack
        .ask(&other, "dev@other.example")
        .await
        .is_refused(&message);
    assert!(stack.log.submissions().is_empty());
    // A token that is not genuine learns nothing of the rules.
    let forged = format!("{}AAAA", other.get(..other.len() - 4).unwrap());
    stack
        .ask(&forged, "dev@other.example")
        .await
        .is_refused(crate::client::TOKEN);
    let admin = stack
        .provider
        .token_with(json!({"email": "dev@other.example", "groups": ["x", "admins"]}));
    stack.ask(&admin, "dev@other.example").await.chain();
}

#[tokio::test]
async fn a_rule_can_shorten_the_lifetime() {
    let provider = Provider::start().await;
    let rules = policy(&provider.url);
    let stack = Stack::at(provider, |config| config.policy = rules).await;
    let seconds = |der: &[u8]| {
        let certificate = parse(der);
        let validity = certificate.tbs_certificate().validity();
        validity.not_after.to_unix_duration().as_secs()
            - validity.not_before.to_unix_duration().as_secs()
    };
    let staff = stack.provider.token(&stack.provider.claims());
    assert_eq!(seconds(&stack.ask_email(&staff).await.leaf()), 180);
    let admin = stack.provider.token_with(json!({"groups": "admins"}));
    assert_eq!(seconds(&stack.ask_email(&admin).await.leaf()), 600);
}

#[tokio::test]
async fn the_audit_log_names_the_rule() {
    let lines = Lines::default();
    let (stack, _program) =
        Stack::program_with(&lines, |url| format!("policy:\n{}", indent(&rules(url)))).await;
    stack
        .ask_email(&stack.provider.token(&stack.provider.claims()))
        .await
        .chain();
    let other = stack
        .provider
        .token_with(json!({"email": "dev@other.example"}));
    let answer = stack.ask(&other, "dev@other.example").await;
    assert_eq!(answer.status, 400);
    let issued = lines.wait_for(|line| line["outcome"] == "issued").await;
    assert_eq!(issued["rule"], "staff");
    let refused = lines.wait_for(|line| line["outcome"] == "refused").await;
    assert_eq!(refused["rule"], "admins, staff");
    assert!(
        refused["reason"]
            .as_str()
            .unwrap()
            .contains("dev@other.example")
    );
}

#[tokio::test]
async fn explanations_name_the_rule_and_pinned_keys_check_the_signature() {
    let provider = Provider::start().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("identity.yaml"), identity(&provider.url)).unwrap();
    std::fs::write(
        path("keys.json"),
        json!({"keys": [crate::keys::shared_rsa().jwk("a")]}).to_string(),
    )
    .unwrap();
    let shared = authority().await;
    let config = format!(
        "issuers: {}\ncertificate-chain: {}\nkey: {}\npinned-jwks: {{{}/email: {}}}\npolicy:\n{}",
        path("identity.yaml").display(),
        shared.files.chain.display(),
        keys::KeyUri::file(shared.files.key.clone()),
        provider.url,
        path("keys.json").display(),
        indent(&rules(&provider.url)),
    );
    std::fs::write(path("fulcio.yaml"), config).unwrap();
    let explain = |token: &str| {
        run(
            &[
                "explain-token",
                "--config",
                path("fulcio.yaml").to_str().unwrap(),
            ],
            token,
        )
    };
    let good = provider.token(&provider.claims());
    let (code, text) = explain(&good);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("policy: ok, rule \"staff\" decides")
            && text.contains("signature: ok")
            && text.contains("lifetime: 180 s"),
        "{text}"
    );
    let (code, text) = explain(&provider.token_with(json!({"email": "a@other.example"})));
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("policy: FAILED") && text.contains("corp.example"),
        "{text}"
    );
    let forged = crate::keys::other_rsa().token(Some("a"), &provider.claims());
    let (code, text) = explain(&forged);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("signature: FAILED"), "{text}");
    assert_eq!(provider.requests(), 0);
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
