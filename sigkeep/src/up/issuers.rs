//! The certificate authority's configuration: whom it believes.
//!
//! Fulcio's own file format. It is written once; add identity providers of yours to it and start
//! again.

use super::ports::{Endpoint, Ports};
use crate::oidc::{CLIENT_ID, Shape};

/// The configuration that believes the development issuers and nobody else.
#[must_use]
pub fn configuration(ports: &Ports) -> String {
    let base = ports.base(Endpoint::Oidc);
    let mut yaml = String::from(HEAD);
    yaml.push_str("oidc-issuers:\n");
    for shape in Shape::ALL {
        let url = shape.issuer_url(&base);
        yaml.push_str(&format!(
            "  {url}:\n    issuer-url: {url}\n    client-id: {CLIENT_ID}\n"
        ));
        yaml.push_str(&match shape {
            Shape::Email => "    type: email\n".to_owned(),
            Shape::Github => "    type: ci-provider\n    ci-provider: github-workflow\n".to_owned(),
            Shape::Gitlab => "    type: ci-provider\n    ci-provider: gitlab-pipeline\n".to_owned(),
            Shape::Kubernetes => "    type: kubernetes\n".to_owned(),
            Shape::Uri => "    type: uri\n    subject-domain: http://localhost\n".to_owned(),
        });
    }
    yaml.push_str(METADATA);
    yaml
}

const HEAD: &str = "\
# Whom the certificate authority of `sigkeep up` believes, in Fulcio's configuration format.
# Written once, at the first start. Yours to edit; restart `sigkeep up` afterwards.
# The issuers below are the development issuer's: they vouch for whoever asks them.
";

/// How CI claims become a certificate. A value is the name of a claim or default, or a template.
const METADATA: &str = r#"
ci-issuer-metadata:
  github-workflow:
    default-template-values:
      url: https://github.com
      environment: ""
    extension-templates:
      github-workflow-trigger: event_name
      github-workflow-sha: sha
      github-workflow-name: workflow
      github-workflow-repository: repository
      github-workflow-ref: ref
      build-signer-uri: "{{ .url }}/{{ .job_workflow_ref }}"
      build-signer-digest: job_workflow_sha
      runner-environment: runner_environment
      source-repository-uri: "{{ .url }}/{{ .repository }}"
      source-repository-digest: sha
      source-repository-ref: ref
      source-repository-identifier: repository_id
      source-repository-owner-uri: "{{ .url }}/{{ .repository_owner }}"
      source-repository-owner-identifier: repository_owner_id
      build-config-uri: "{{ .url }}/{{ .workflow_ref }}"
      build-config-digest: workflow_sha
      build-trigger: event_name
      run-invocation-uri: "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}"
      source-repository-visibility-at-signing: repository_visibility
      deployment-environment: environment
    subject-alternative-name-template: "{{ .url }}/{{ .job_workflow_ref }}"
  gitlab-pipeline:
    default-template-values:
      url: https://gitlab.com
      environment: ""
    extension-templates:
      build-signer-uri: "https://{{ .ci_config_ref_uri }}"
      build-signer-digest: ci_config_sha
      runner-environment: runner_environment
      source-repository-uri: "{{ .url }}/{{ .project_path }}"
      source-repository-digest: sha
      source-repository-ref: "refs/{{ if eq .ref_type \"branch\" }}heads/{{ else }}tags/{{ end }}{{ .ref }}"
      source-repository-identifier: project_id
      source-repository-owner-uri: "{{ .url }}/{{ .namespace_path }}"
      source-repository-owner-identifier: namespace_id
      build-config-uri: "https://{{ .ci_config_ref_uri }}"
      build-config-digest: ci_config_sha
      build-trigger: pipeline_source
      run-invocation-uri: "{{ .url }}/{{ .project_path }}/-/jobs/{{ .job_id }}"
      source-repository-visibility-at-signing: project_visibility
      deployment-environment: environment
    subject-alternative-name-template: "https://{{ .ci_config_ref_uri }}"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_authority_takes_the_configuration_and_believes_every_issuer() {
        let text = configuration(&Ports::DEFAULT);
        let registry = fulcio_rs::Issuers::Inline(text).load().unwrap();
        let believed: Vec<String> = registry
            .issuers()
            .map(|issuer| issuer.url().to_owned())
            .collect();
        let base = Ports::DEFAULT.base(Endpoint::Oidc);
        for shape in Shape::ALL {
            assert!(believed.contains(&shape.issuer_url(&base)), "{shape:?}");
        }
        assert_eq!(believed.len(), Shape::ALL.len());
    }
}
