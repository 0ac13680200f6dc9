//! `explain-token`: claim by claim, without asking anybody.

use serde_json::{Value, json};

use crate::provider::{Provider, now, with};
use crate::stack::identity;
use crate::startup::run;

/// A provider that must not be asked, and a configuration that believes it.
struct Case {
    provider: Provider,
    directory: tempfile::TempDir,
}

impl Case {
    async fn start() -> Self {
        let provider = Provider::start().await;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("identity.yaml"),
            identity(&provider.url),
        )
        .unwrap();
        Self {
            provider,
            directory,
        }
    }

    fn explain(&self, token: &str, more: &[&str]) -> (Option<i32>, String) {
        let path = self.directory.path().join("identity.yaml");
        let fixed = ["explain-token", "--config", path.to_str().unwrap()];
        let outcome = run(&[&fixed[..], more].concat(), token);
        assert_eq!(self.provider.requests(), 0);
        outcome
    }

    fn json(&self, token: &str) -> (Option<i32>, Value) {
        let (code, text) = self.explain(token, &["--json"]);
        (code, serde_json::from_str(&text).unwrap())
    }

    fn github(&self, changes: Value) -> String {
        let claims = crate::certificates::github_claims(&self.provider);
        self.provider.token(&with(claims, changes))
    }
}

/// What a claim is for.
fn uses<'a>(explained: &'a Value, name: &str) -> Vec<&'a str> {
    let claims = explained["claims"].as_array().unwrap();
    let claim = claims.iter().find(|claim| claim["name"] == name).unwrap();
    let uses = claim["uses"].as_array().unwrap();
    uses.iter().map(|text| text.as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_good_token_is_explained_for_people() {
    let case = Case::start().await;
    let (code, text) = case.explain(&case.provider.token(&case.provider.claims()), &[]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "  email = \"dev@corp.example\"\n      subject alternative name\n",
        "  iat = ",
        "audience: ok, contains \"sigstore\"",
        "times: ok, valid now, for another ",
        "subject alternative name: dev@corp.example (email)",
        "1.3.6.1.4.1.57264.1.24 Subject: user-1",
        "possession is proved over: dev@corp.example",
        "signature: not checked",
        "A certificate would be issued.",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
}

#[tokio::test]
async fn every_claim_of_a_job_says_what_it_is_for() {
    let case = Case::start().await;
    let (code, explained) = case.json(&case.github(json!({"actor": "octocat"})));
    assert_eq!(code, Some(0), "{explained}");
    assert_eq!(explained["accepted"], true);
    assert_eq!(explained["signatureChecked"], false);
    let repository = uses(&explained, "repository");
    assert_eq!(
        repository,
        [
            "1.3.6.1.4.1.57264.1.5 GithubWorkflowRepository",
            "1.3.6.1.4.1.57264.1.12 SourceRepositoryURI",
            "1.3.6.1.4.1.57264.1.21 RunInvocationURI",
            "needed: without it, value <repository> not present in either claims or defaults",
        ]
    );
    let signer = uses(&explained, "job_workflow_ref");
    assert_eq!(
        signer[..2],
        [
            "subject alternative name",
            "1.3.6.1.4.1.57264.1.9 BuildSignerURI"
        ]
    );
    assert_eq!(
        uses(&explained, "sub")[..2],
        ["1.3.6.1.4.1.57264.1.24 Subject", "proof of possession"]
    );
    assert_eq!(uses(&explained, "actor"), [""; 0]);
    assert_eq!(uses(&explained, "iat"), [""; 0]);
    assert_eq!(uses(&explained, "iss"), ["which issuer's rules apply"]);
    assert_eq!(uses(&explained, "aud"), ["audience"]);
    assert!(uses(&explained, "exp")[0].starts_with("end of validity: 20"));
    let certificate = &explained["certificate"];
    assert_eq!(
        certificate["extensions"]["1.3.6.1.4.1.57264.1.5"],
        "corp/app"
    );
    assert_eq!(certificate["lifetimeSeconds"], 600);
}

#[tokio::test]
async fn all_that_is_missing_is_listed_and_all_that_is_wrong_is_said() {
    let case = Case::start().await;
    let token = case.github(json!({
        "sha": null, "run_id": null, "workflow": [1], "aud": "other", "exp": now() - 60, "nbf": now() + 3600,
    }));
    let (code, explained) = case.json(&token);
    assert_eq!(code, Some(1), "{explained}");
    let mut missing: Vec<_> = explained["missing"].as_array().unwrap().clone();
    missing.sort_by_key(ToString::to_string);
    assert_eq!(missing, [json!("run_id"), json!("sha"), json!("workflow")]);
    let failed: Vec<_> = explained["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["ok"] == false)
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["audience", "times", "claims"]);
    assert!(uses(&explained, "exp")[0].contains(" s ago"));
    assert!(uses(&explained, "nbf")[0].contains("in 3"));
    let (code, text) = case.explain(&token, &[]);
    assert_eq!(code, Some(1));
    assert!(
        text.contains("  sha is MISSING\n") && text.contains("No certificate would be issued."),
        "{text}"
    );
}

#[tokio::test]
async fn what_can_never_be_accepted_is_explained_too() {
    let case = Case::start().await;
    let (code, text) = case.explain(
        &case
            .provider
            .token_with(json!({"aud": "other", "email_verified": false})),
        &[],
    );
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("audience: FAILED") && text.contains("\"email_verified\" is not true"),
        "{text}"
    );
    let (code, text) = case.explain(
        &case
            .provider
            .token_with(json!({"iss": "https://x.example"})),
        &[],
    );
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("\"https://x.example\" is not configured"),
        "{text}"
    );
    let unsigned = crate::keys::unsigned(&json!({"alg": "none"}), &case.provider.claims());
    let (code, text) = case.explain(&format!("{unsigned}."), &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("algorithm: FAILED, \"none\" is never accepted")
            && text.contains("email = \"dev@corp.example\""),
        "{text}"
    );
    let (code, text) = case.explain("not a token", &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("refused: malformed token"), "{text}");
    let (code, explained) = case.json("not a token");
    assert_eq!((code, &explained["accepted"]), (Some(1), &json!(false)));
}
