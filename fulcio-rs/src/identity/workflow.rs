//! Types `github-workflow`, `gitlab-pipeline`, `codefresh-workflow` and `buildkite-job`: the
//! predecessors of `ci-provider` for the systems' public servers, with everything fixed.
//!
//! The servers' URLs are literals and not defaults: a claim cannot replace them, except for
//! Codefresh, whose tokens name their platform.

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
    /// Codefresh.
    Codefresh,
    /// Buildkite.
    Buildkite,
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

const CODEFRESH_REQUIRED: [&str; 5] = [
    "account_id",
    "account_name",
    "pipeline_id",
    "pipeline_name",
    "workflow_id",
];

const CODEFRESH_NAME: &str = "{{ .platform_url }}/{{ .account_name }}/{{ .pipeline_name }}:{{ .account_id }}/{{ .pipeline_id }}";

const CODEFRESH: [(&str, &str); 6] = [
    (
        "build-signer-uri",
        "{{ .platform_url }}/build/{{ .workflow_id }}",
    ),
    (
        "runner-environment",
        r#"{{ index . "runner_environment" }}"#,
    ),
    ("source-repository-uri", r#"{{ index . "scm_repo_url" }}"#),
    ("source-repository-ref", r#"{{ index . "scm_ref" }}"#),
    (
        "build-config-uri",
        "{{ .platform_url }}/api/pipelines/{{ .pipeline_id }}",
    ),
    (
        "run-invocation-uri",
        "{{ .platform_url }}/build/{{ .workflow_id }}",
    ),
];

/// Where a token without `platform_url` is from.
const CODEFRESH_PLATFORM: (&str, &str) = ("platform_url", "https://g.codefresh.io");

const BUILDKITE_REQUIRED: [&str; 2] = ["organization_slug", "pipeline_slug"];

const BUILDKITE_NAME: &str = "https://buildkite.com/{{ .organization_slug }}/{{ .pipeline_slug }}";

const BUILDKITE: [(&str, &str); 4] = [
    (
        "runner-environment",
        r#"{{ index . "runner_environment" }}"#,
    ),
    (
        "source-repository-digest",
        r#"{{ index . "build_commit" }}"#,
    ),
    ("build-trigger", r#"{{ index . "build_source" }}"#),
    (
        "run-invocation-uri",
        r#"{{ if eq (index . "job_id") "" }}{{ else }}https://buildkite.com/{{ .organization_slug }}/{{ .pipeline_slug }}/builds/{{ .build_number }}#{{ .job_id }}{{ end }}"#,
    ),
];

impl System {
    /// Its name in the configuration.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::GitHub => "github-workflow",
            Self::GitLab => "gitlab-pipeline",
            Self::Codefresh => "codefresh-workflow",
            Self::Buildkite => "buildkite-job",
        }
    }

    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::GitHub => &GITHUB_REQUIRED,
            Self::GitLab => &GITLAB_REQUIRED,
            Self::Codefresh => &CODEFRESH_REQUIRED,
            Self::Buildkite => &BUILDKITE_REQUIRED,
        }
    }

    const fn templates(self) -> (&'static str, &'static [(&'static str, &'static str)]) {
        match self {
            Self::GitHub => (GITHUB_NAME, &GITHUB),
            Self::GitLab => (GITLAB_NAME, &GITLAB),
            Self::Codefresh => (CODEFRESH_NAME, &CODEFRESH),
            Self::Buildkite => (BUILDKITE_NAME, &BUILDKITE),
        }
    }
}

impl Workflow {
    /// Prepares the templates of `system`; `None` if they have no name, which they do.
    pub(crate) fn new(system: System) -> Result<Option<Self>, SyntaxError> {
        let (name, extensions) = system.templates();
        let defaults = match system {
            System::Codefresh => {
                let (name, value) = CODEFRESH_PLATFORM;
                vec![(name.to_owned(), value.to_owned())]
            }
            _ => Vec::new(),
        };
        let raw = RawProvider {
            defaults,
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
        for system in [
            System::GitHub,
            System::GitLab,
            System::Codefresh,
            System::Buildkite,
        ] {
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

    #[test]
    fn a_codefresh_build_is_read_with_its_platform() {
        let mut full = claims(&CODEFRESH_REQUIRED);
        let name = |principal: Principal| match principal.san {
            pki::leaf::San::Uri(uri) => uri,
            other => panic!("{other:?}"),
        };
        let principal = read(System::Codefresh, full.clone()).unwrap();
        assert_eq!(
            principal.extensions.get(21),
            Some("https://g.codefresh.io/build/workflow_id")
        );
        assert_eq!(principal.extensions.get(12), None);
        assert_eq!(
            name(principal),
            "https://g.codefresh.io/account_name/pipeline_name:account_id/pipeline_id"
        );
        full.insert(
            "platform_url".to_owned(),
            Value::from("https://cf.corp.example"),
        );
        assert_eq!(
            name(read(System::Codefresh, full.clone()).unwrap()),
            "https://cf.corp.example/account_name/pipeline_name:account_id/pipeline_id"
        );
        for missing in CODEFRESH_REQUIRED {
            let mut claims = full.clone();
            claims.remove(missing);
            assert!(read(System::Codefresh, claims).is_err(), "{missing}");
        }
    }

    #[test]
    fn a_buildkite_job_is_read() {
        let mut full = claims(&BUILDKITE_REQUIRED);
        let principal = read(System::Buildkite, full.clone()).unwrap();
        assert_eq!(
            principal.san,
            pki::leaf::San::Uri("https://buildkite.com/organization_slug/pipeline_slug".to_owned())
        );
        assert_eq!(principal.extensions.get(21), None);
        full.insert("build_number".to_owned(), Value::from(7));
        full.insert("job_id".to_owned(), Value::from("j"));
        full.insert("build_commit".to_owned(), Value::from("abc"));
        let principal = read(System::Buildkite, full.clone()).unwrap();
        assert_eq!(
            principal.extensions.get(21),
            Some("https://buildkite.com/organization_slug/pipeline_slug/builds/7#j")
        );
        assert_eq!(principal.extensions.get(13), Some("abc"));
        for missing in BUILDKITE_REQUIRED {
            let mut claims = full.clone();
            claims.insert(missing.to_owned(), Value::from(""));
            assert!(read(System::Buildkite, claims).is_err(), "{missing}");
        }
    }
}
