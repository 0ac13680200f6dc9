//! What is in the certificates.

use std::time::{Duration, SystemTime};

use der::{Decode, Encode};
use serde_json::json;
use x509_cert::Certificate;
use x509_cert::ext::pkix;

use crate::provider::with;
use crate::stack::{Stack, authority};

pub(crate) fn parse(der: &[u8]) -> Certificate {
    Certificate::from_der(der).unwrap()
}

/// Object identifiers with criticality and content, in order.
pub(crate) fn extensions(certificate: &Certificate) -> Vec<(String, bool, Vec<u8>)> {
    let list = certificate.tbs_certificate().extensions().unwrap();
    list.iter()
        .map(|extension| {
            (
                extension.extn_id.to_string(),
                extension.critical,
                extension.extn_value.as_bytes().to_vec(),
            )
        })
        .collect()
}

/// The Sigstore extensions: last arc and content, in order.
pub(crate) fn sigstore(der: &[u8]) -> Vec<(u32, Vec<u8>)> {
    extensions(&parse(der))
        .into_iter()
        .filter_map(|(oid, critical, value)| {
            let number = oid.strip_prefix("1.3.6.1.4.1.57264.1.")?.parse().unwrap();
            assert!(!critical);
            Some((number, value))
        })
        .collect()
}

/// A DER UTF8String.
pub(crate) fn utf8(text: &str) -> Vec<u8> {
    der::asn1::Utf8StringRef::new(text)
        .unwrap()
        .to_der()
        .unwrap()
}

/// The name in the certificate.
pub(crate) fn name(der: &[u8]) -> pkix::name::GeneralName {
    let certificate = parse(der);
    let (critical, names) = certificate
        .tbs_certificate()
        .get_extension::<pkix::SubjectAltName>()
        .unwrap()
        .unwrap();
    assert!(critical);
    assert_eq!(names.0.len(), 1);
    names.0[0].clone()
}

pub(crate) fn uri(der: &[u8]) -> String {
    match name(der) {
        pkix::name::GeneralName::UniformResourceIdentifier(uri) => uri.to_string(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn email(der: &[u8]) -> String {
    match name(der) {
        pkix::name::GeneralName::Rfc822Name(email) => email.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_profile_is_exact() {
    let stack = Stack::start().await;
    let before = SystemTime::now();
    let der = stack
        .ask_email(&stack.provider.token(&stack.provider.claims()))
        .await
        .leaf();
    let certificate = parse(&der);
    let tbs = certificate.tbs_certificate();
    assert_eq!(tbs.version(), x509_cert::Version::V3);
    assert!(tbs.subject().is_empty());
    let serial = tbs.serial_number().as_bytes();
    assert!(serial.len() <= 20 && serial[0] < 0x80 && serial.iter().any(|byte| *byte != 0));

    let not_before = tbs.validity().not_before.to_system_time();
    let not_after = tbs.validity().not_after.to_system_time();
    assert!(not_after.duration_since(not_before).unwrap() <= Duration::from_secs(600));
    assert!(
        not_before < before && before.duration_since(not_before).unwrap() < Duration::from_secs(10)
    );

    let files = &authority().await.files;
    let chain =
        pki::chain::Chain::from_pem(&std::fs::read_to_string(&files.chain).unwrap()).unwrap();
    let issuer = parse(chain.first());
    assert_eq!(tbs.issuer(), issuer.tbs_certificate().subject());

    let found = extensions(&certificate);
    let order: Vec<_> = found
        .iter()
        .map(|(oid, critical, _)| (oid.as_str(), *critical))
        .collect();
    assert_eq!(
        order,
        [
            ("2.5.29.15", true),
            ("2.5.29.37", false),
            ("2.5.29.14", false),
            ("2.5.29.35", false),
            ("2.5.29.17", true),
            ("1.3.6.1.4.1.57264.1.1", false),
            ("1.3.6.1.4.1.57264.1.8", false),
            ("1.3.6.1.4.1.57264.1.24", false),
            ("1.3.6.1.4.1.11129.2.4.2", false),
        ]
    );
    assert_eq!(found[0].2, [3, 2, 7, 0x80]);
    assert_eq!(found[1].2, [0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3]);
    let issuer_tbs = issuer.tbs_certificate();
    let (_, issuer_id) = issuer_tbs
        .get_extension::<pkix::SubjectKeyIdentifier>()
        .unwrap()
        .unwrap();
    let (_, authority_id) = tbs
        .get_extension::<pkix::AuthorityKeyIdentifier>()
        .unwrap()
        .unwrap();
    assert_eq!(authority_id.key_identifier, Some(issuer_id.0));
    assert_eq!(email(&der), "dev@corp.example");

    let issuer_url = format!("{}/email", stack.provider.url);
    assert_eq!(
        sigstore(&der),
        [
            (1, issuer_url.clone().into_bytes()),
            (8, utf8(&issuer_url)),
            (24, utf8("user-1"))
        ]
    );
}

#[tokio::test]
async fn the_log_got_this_certificate_poisoned_and_its_promise_verifies() {
    let stack = Stack::start().await;
    let der = stack
        .ask_email(&stack.provider.token(&stack.provider.claims()))
        .await
        .leaf();
    let submissions = stack.log.submissions();
    assert_eq!(submissions.len(), 1);
    let chain = &submissions[0];
    assert_eq!(chain.len(), 3);
    assert!(pki::precert::is_precertificate(&chain[0]).unwrap());
    let tbs = pki::precert::tbs_without_sct_list(&der).unwrap();
    assert_eq!(tbs, pki::precert::tbs_without_poison(&chain[0]).unwrap());
    let issuer = crypto::PublicKey::from_certificate_der(&chain[1]).unwrap();
    let scts = pki::sct::embedded(&der).unwrap();
    assert_eq!(scts.len(), 1);
    let entry = pki::sct::CtEntry::Precert {
        issuer_key_hash: issuer.key_id(),
        tbs: &tbs,
    };
    scts[0].verify(entry, &stack.log.public_key).unwrap();
    // Both are signed by the issuing key itself.
    for signed in [&der, &chain[0]] {
        let certificate = parse(signed);
        let tbs = certificate.tbs_certificate().to_der().unwrap();
        let signature = certificate.signature().as_bytes().unwrap();
        issuer
            .verify(crypto::HashAlgorithm::Sha256, &tbs, signature)
            .unwrap();
    }
}

#[tokio::test]
async fn serial_numbers_differ() {
    let stack = Stack::start().await;
    let mut serials = std::collections::HashSet::new();
    for _ in 0..8 {
        let der = stack
            .ask_email(&stack.provider.token(&stack.provider.claims()))
            .await
            .leaf();
        serials.insert(
            parse(&der)
                .tbs_certificate()
                .serial_number()
                .as_bytes()
                .to_vec(),
        );
    }
    assert_eq!(serials.len(), 8);
}

pub(crate) fn github_claims(provider: &crate::provider::Provider) -> serde_json::Value {
    with(
        provider.claims_of("github", "repo:corp/app:ref:refs/heads/main"),
        json!({
            "job_workflow_ref": "corp/ci/.github/workflows/build.yml@refs/tags/v1", "job_workflow_sha": "aaaa",
            "sha": "bbbb", "event_name": "push", "repository": "corp/app", "repository_id": "12345678901234",
            "repository_owner": "corp", "repository_owner_id": "99", "repository_visibility": "private",
            "workflow": "Build & <test>", "workflow_ref": "corp/app/.github/workflows/main.yml@refs/heads/main",
            "workflow_sha": "cccc", "ref": "refs/heads/main", "runner_environment": "github-hosted",
            "run_id": "7", "run_attempt": "2",
        }),
    )
}

#[tokio::test]
async fn every_extension_of_a_github_job_is_exact() {
    let stack = Stack::start().await;
    let claims = github_claims(&stack.provider);
    let answer = stack
        .ask(
            &stack.provider.token(&claims),
            claims["sub"].as_str().unwrap(),
        )
        .await;
    let der = answer.leaf();
    let signer = "https://github.com/corp/ci/.github/workflows/build.yml@refs/tags/v1";
    assert_eq!(uri(&der), signer);
    let issuer = format!("{}/github", stack.provider.url);
    let raw = |number, text: &str| (number, text.as_bytes().to_vec());
    let text = |number, text: &str| (number, utf8(text));
    assert_eq!(
        sigstore(&der),
        [
            raw(1, &issuer),
            raw(2, "push"),
            raw(3, "bbbb"),
            raw(4, "Build & <test>"),
            raw(5, "corp/app"),
            raw(6, "refs/heads/main"),
            text(8, &issuer),
            text(9, signer),
            text(10, "aaaa"),
            text(11, "github-hosted"),
            text(12, "https://github.com/corp/app"),
            text(13, "bbbb"),
            text(14, "refs/heads/main"),
            text(15, "12345678901234"),
            text(16, "https://github.com/corp"),
            text(17, "99"),
            text(
                18,
                "https://github.com/corp/app/.github/workflows/main.yml@refs/heads/main"
            ),
            text(19, "cccc"),
            text(20, "push"),
            text(21, "https://github.com/corp/app/actions/runs/7/attempts/2"),
            text(22, "private"),
            text(24, "repo:corp/app:ref:refs/heads/main"),
        ]
    );
    assert_eq!(utf8("ab"), [0x0c, 2, b'a', b'b']);
}

#[tokio::test]
async fn a_missing_claim_of_a_job_is_named() {
    let stack = Stack::start().await;
    let claims = with(
        github_claims(&stack.provider),
        json!({"job_workflow_sha": null}),
    );
    let answer = stack
        .ask(
            &stack.provider.token(&claims),
            claims["sub"].as_str().unwrap(),
        )
        .await;
    answer.is_refused("value <job_workflow_sha> not present in either claims or defaults");
    // A list is not a value either.
    let claims = with(github_claims(&stack.provider), json!({"sha": ["a", "b"]}));
    let answer = stack
        .ask(
            &stack.provider.token(&claims),
            claims["sub"].as_str().unwrap(),
        )
        .await;
    answer.is_refused("value <sha> not present in either claims or defaults");
}

#[tokio::test]
async fn a_deployment_environment_is_there_only_if_the_job_has_one() {
    let stack = Stack::start().await;
    for (environment, expected) in [(json!(null), None), (json!("prod"), Some(utf8("prod")))] {
        let claims = with(
            github_claims(&stack.provider),
            json!({"environment": environment}),
        );
        let der = stack
            .ask(
                &stack.provider.token(&claims),
                claims["sub"].as_str().unwrap(),
            )
            .await
            .leaf();
        let found = sigstore(&der).into_iter().find(|(number, _)| *number == 23);
        assert_eq!(found.map(|(_, value)| value), expected);
    }
}

#[tokio::test]
async fn gitlab_refs_are_branches_or_tags() {
    let stack = Stack::start().await;
    for (kind, expected) in [("branch", "refs/heads/v1"), ("tag", "refs/tags/v1")] {
        let claims = with(
            stack
                .provider
                .claims_of("gitlab", "project_path:g/p:ref_type:x:ref:v1"),
            json!({"project_path": "g/p", "project_id": "4", "pipeline_source": "push", "namespace_path": "g",
                "namespace_id": "3", "ci_config_ref_uri": "gitlab.com/g/p//.gitlab-ci.yml@refs/heads/v1",
                "job_id": "302", "ref": "v1", "ref_type": kind, "sha": "dddd", "runner_environment": "self-hosted"}),
        );
        let der = stack
            .ask(
                &stack.provider.token(&claims),
                claims["sub"].as_str().unwrap(),
            )
            .await
            .leaf();
        assert_eq!(
            uri(&der),
            "https://gitlab.com/g/p//.gitlab-ci.yml@refs/heads/v1"
        );
        let extensions = sigstore(&der);
        let get = |wanted| {
            extensions
                .iter()
                .find(|(number, _)| *number == wanted)
                .map(|(_, value)| value.clone())
        };
        assert_eq!(get(14), Some(utf8(expected)));
        assert_eq!(get(21), Some(utf8("https://gitlab.com/g/p/-/jobs/302")));
        assert_eq!(
            (get(10), get(19), get(22), get(23)),
            (None, None, None, None)
        );
    }
}

#[tokio::test]
async fn template_values_are_neither_escaped_nor_in_exponent_form() {
    let stack = Stack::start().await;
    let claims = with(
        stack.provider.claims_of("odd", "s"),
        json!({"project": "a b/ü", "project_id": 12_345_678_901_234_u64, "trigger": "&<\"'", "odd.key": "x"}),
    );
    let der = stack.ask(&stack.provider.token(&claims), "s").await.leaf();
    assert_eq!(uri(&der), "https://ci.example/a%20b/%C3%BC");
    let extensions = sigstore(&der);
    assert!(extensions.contains(&(15, utf8("12345678901234"))));
    assert!(extensions.contains(&(20, utf8("&<\"'"))));
    assert!(extensions.contains(&(23, utf8("x"))));
    let claims = with(claims, json!({"project": "%zz"}));
    let answer = stack.ask(&stack.provider.token(&claims), "s").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["code"]),
        (400, &json!(3))
    );
}
