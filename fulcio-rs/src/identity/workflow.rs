//! Types `github-workflow` and `gitlab-pipeline`: the predecessors of `ci-provider` for github.com
//! and gitlab.com, with everything fixed.
//!
//! The servers' URLs are literals and not defaults: a claim cannot replace them.

use serde_json::Value;

use super::ci_provider::Templates;
use super::extensions::Field;
use super::file::RawProvider;
use super::{Claims, IdentityError, Principal, SyntaxError, TokenError};

/// A CI system whose tokens are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// GitHub Actions.
    GitHub,
    /// GitLab CI.
    GitLab,
}

/// How the tokens of a [`System`] are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workflow {
    pub(crate) system: System,
    templates: Templates,
}

const GITHUB_REQUIRED: [&str; 16] = [
    "job_workflow_ref",
    "job_workflow_sha",
    "sha",
    "event_name",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "workflow",
    "workflow_ref",
    "workflow_sha",
    "ref",
    "runner_environment",
    "run_id",
    "run_attempt",
];

const GITHUB_NAME: &str = "https://github.com/{{ .job_workflow_ref }}";

const GITHUB: [(&str, &str); 20] = [
    ("github-workflow-trigger", "event_name"),
    ("github-workflow-sha", "sha"),
    ("github-workflow-name", "workflow"),
    ("github-workflow-repository", "repository"),
    ("github-workflow-ref", "ref"),
    ("build-signer-uri", GITHUB_NAME),
    ("build-signer-digest", "job_workflow_sha"),
    ("runner-environment", "runner_environment"),
    (
        "source-repository-uri",
        "https://github.com/{{ .repository }}",
    ),
    ("source-repository-digest", "sha"),
    ("source-repository-ref", "ref"),
    ("source-repository-identifier", "repository_id"),
    (
        "source-repository-owner-uri",
        "https://github.com/{{ .repository_owner }}",
    ),
    ("source-repository-owner-identifier", "repository_owner_id"),
    ("build-config-uri", "https://github.com/{{ .workflow_ref }}"),
    ("build-config-digest", "workflow_sha"),
    ("build-trigger", "event_name"),
    (
        "run-invocation-uri",
        "https://github.com/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}",
    ),
    (
        "source-repository-visibility-at-signing",
        "repository_visibility",
    ),
    ("deployment-environment", r#"{{ index . "environment" }}"#),
];

const GITLAB_REQUIRED: [&str; 12] = [
    "project_path",
    "project_id",
    "pipeline_source",
    "pipeline_id",
    "ci_config_ref_uri",
    "job_id",
    "ref",
    "ref_type",
    "namespace_path",
    "namespace_id",
    "sha",
    "runner_environment",
];

const GITLAB_NAME: &str = "https://{{ .ci_config_ref_uri }}";

const GITLAB: [(&str, &str); 15] = [
    ("build-signer-uri", GITLAB_NAME),
    ("build-signer-digest", r#"{{ index . "ci_config_sha" }}"#),
    ("runner-environment", "runner_environment"),
    (
        "source-repository-uri",
        "https://gitlab.com/{{ .project_path }}",
    ),
    ("source-repository-digest", "sha"),
    (
        "source-repository-ref",
        r#"refs/{{ if eq .ref_type "branch" }}heads{{ else }}tags{{ end }}/{{ .ref }}"#,
    ),
    ("source-repository-identifier", "project_id"),
    (
        "source-repository-owner-uri",
        "https://gitlab.com/{{ .namespace_path }}",
    ),
    ("source-repository-owner-identifier", "namespace_id"),
    ("build-config-uri", GITLAB_NAME),
    ("build-config-digest", r#"{{ index . "ci_config_sha" }}"#),
    ("build-trigger", "pipeline_source"),
    (
        "run-invocation-uri",
        "https://gitlab.com/{{ .project_path }}/-/jobs/{{ .job_id }}",
    ),
    (
        "source-repository-visibility-at-signing",
        r#"{{ index . "project_visibility" }}"#,
    ),
    ("deployment-environment", r#"{{ index . "environment" }}"#),
];

impl System {
    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::GitHub => &GITHUB_REQUIRED,
            Self::GitLab => &GITLAB_REQUIRED,
        }
    }

    const fn templates(self) -> (&'static str, &'static [(&'static str, &'static str)]) {
        match self {
            Self::GitHub => (GITHUB_NAME, &GITHUB),
            Self::GitLab => (GITLAB_NAME, &GITLAB),
        }
    }
}

impl Workflow {
    /// Prepares the templates of `system`; `None` if they have no name, which they do.
    pub(crate) fn new(system: System) -> Result<Option<Self>, SyntaxError> {
        let (name, extensions) = system.templates();
        let raw = RawProvider {
            defaults: Vec::new(),
            extensions: extensions
                .iter()
                .filter_map(|(field, template)| {
                    Some((Field::from_kebab(field)?, (*template).to_owned()))
                })
                .collect(),
            subject_alternative_name: Some(name.to_owned()),
        };
        Ok(Templates::parse(&raw)?.map(|templates| Self { system, templates }))
    }

    pub(crate) fn principal(
        &self,
        issuer: &str,
        claims: &Claims,
    ) -> Result<Principal, IdentityError> {
        for name in self.system.required() {
            claims.required(name)?;
        }
        if self.system == System::GitLab {
            if !matches!(claims.text("ref_type"), Some("branch" | "tag")) {
                let reason = "is neither branch nor tag".to_owned();
                return Err(TokenError::Claim {
                    name: "ref_type",
                    reason,
                }
                .into());
            }
            if claims
                .get("runner_id")
                .and_then(Value::as_i64)
                .is_none_or(|id| id == 0)
            {
                let reason = "is not a number other than 0".to_owned();
                return Err(TokenError::Claim {
                    name: "runner_id",
                    reason,
                }
                .into());
            }
        }
        self.templates.principal(issuer, claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(names: &[&str]) -> serde_json::Map<String, Value> {
        let mut claims: serde_json::Map<_, _> = names
            .iter()
            .map(|name| ((*name).to_owned(), Value::from(*name)))
            .collect();
        claims.insert("sub".to_owned(), Value::from("s"));
        claims
    }

    fn read(
        system: System,
        claims: serde_json::Map<String, Value>,
    ) -> Result<Principal, IdentityError> {
        Workflow::new(system)
            .unwrap()
            .unwrap()
            .principal("https://i.example", &Claims::new(claims))
    }

    #[test]
    fn every_template_is_for_an_extension() {
        for system in [System::GitHub, System::GitLab] {
            for (field, _) in system.templates().1 {
                assert!(Field::from_kebab(field).is_some(), "{field}");
            }
        }
    }

    #[test]
    fn a_github_job_is_read_and_each_claim_is_required() {
        let mut full = claims(&GITHUB_REQUIRED);
        full.insert("url".to_owned(), Value::from("https://evil.example"));
        let principal = read(System::GitHub, full.clone()).unwrap();
        assert_eq!(
            principal.san,
            pki::leaf::San::Uri("https://github.com/job_workflow_ref".to_owned())
        );
        assert_eq!(
            principal.extensions.get(21),
            Some("https://github.com/repository/actions/runs/run_id/attempts/run_attempt")
        );
        assert_eq!(principal.extensions.get(23), None);
        for name in GITHUB_REQUIRED {
            for bad in [Value::Null, Value::from(""), Value::from(7)] {
                let mut claims = full.clone();
                claims.insert(name.to_owned(), bad);
                assert!(read(System::GitHub, claims).is_err(), "{name}");
            }
        }
    }

    #[test]
    fn a_gitlab_job_is_read_with_its_rules() {
        let mut full = claims(&GITLAB_REQUIRED);
        full.insert("ref_type".to_owned(), Value::from("tag"));
        full.insert("runner_id".to_owned(), Value::from(5));
        let principal = read(System::GitLab, full.clone()).unwrap();
        assert_eq!(
            principal.san,
            pki::leaf::San::Uri("https://ci_config_ref_uri".to_owned())
        );
        assert_eq!(principal.extensions.get(14), Some("refs/tags/ref"));
        assert_eq!(principal.extensions.get(10), None);
        for (name, bad) in [
            ("ref_type", Value::from("commit")),
            ("runner_id", Value::from(0)),
            ("runner_id", Value::from("5")),
            ("runner_id", Value::Null),
            ("sha", Value::Null),
        ] {
            let mut claims = full.clone();
            claims.insert(name.to_owned(), bad);
            assert!(read(System::GitLab, claims).is_err(), "{name}");
        }
    }
}
