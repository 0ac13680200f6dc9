//! What an entry of the file must be.

use std::collections::HashMap;
use std::sync::Arc;

use oidc::{ClaimPath, fetchable};

use super::{Issuer, IssuerType, Kind};
use crate::identity::ci_provider::Templates;
use crate::identity::email::Email;
use crate::identity::file::RawIssuer;
use crate::identity::pattern::Pattern;
use crate::identity::spiffe::TrustDomain;
use crate::identity::uri::SubjectDomain;
use crate::identity::workflow::{System, Workflow};

/// Checks the entry of the issuer `url`; errors say what is wrong and what to do.
pub(super) fn check(
    url: &str,
    raw: &RawIssuer,
    templates: &HashMap<&str, Arc<Templates>>,
    wildcard: bool,
) -> Result<Issuer, String> {
    match &raw.issuer_url {
        Some(inner) if inner != url => {
            return Err(format!(
                "issuer-url is {inner:?}; it must equal the key, or no token would match"
            ));
        }
        _ => {}
    }
    if !wildcard && url.contains('*') {
        return Err("contains a wildcard: move it to `meta-issuers`".to_owned());
    }
    if wildcard && !url.contains('*') {
        return Err("has no wildcard: move it to `oidc-issuers`".to_owned());
    }
    // A name stands in for each wildcard to see what kind of URLs the pattern matches.
    fetchable(&url.replace('*', "x")).map_err(|error| error.to_string())?;
    let client_id = raw
        .client_id
        .clone()
        .ok_or("client-id is missing (clients ask for the audience `sigstore`)")?;
    let kind = kind(url, raw, templates, wildcard)?;
    let default_claim = if matches!(kind, Kind::Email(_)) {
        "email"
    } else {
        "sub"
    };
    let challenge_claim = match raw.challenge_claim.as_deref() {
        None => default_claim,
        Some("email") => "email",
        Some("sub") => "sub",
        Some(other) => {
            return Err(format!(
                "challenge-claim {other:?}: only `email` and `sub` can be proved over"
            ));
        }
    };
    Ok(Issuer {
        url: url.to_owned(),
        pattern: wildcard.then(|| Pattern::new(url)),
        client_id,
        kind: IssuerType(kind),
        challenge_claim,
        extra_roots: raw.ca_cert.clone(),
        token_file: None,
    })
}

fn kind(
    url: &str,
    raw: &RawIssuer,
    templates: &HashMap<&str, Arc<Templates>>,
    wildcard: bool,
) -> Result<Kind, String> {
    let kind = raw.kind.as_deref().ok_or("type is missing")?;
    let only_for = |name: &str, types: &[&str], present: bool| {
        if present && !types.contains(&kind) {
            Err(format!(
                "{name} has no effect with type {kind}: remove it (it is for {})",
                types.join(", ")
            ))
        } else {
            Ok(())
        }
    };
    if raw.issuer_claim.is_some() && kind != "email" {
        return Err(
            "only email issuers can use issuer claim mapping: remove issuer-claim".to_owned(),
        );
    }
    only_for("ci-provider", &["ci-provider"], raw.ci_provider.is_some())?;
    only_for(
        "subject-domain",
        &["uri", "username"],
        raw.subject_domain.is_some(),
    )?;
    only_for(
        "spiffe-trust-domain",
        &["spiffe"],
        raw.spiffe_trust_domain.is_some(),
    )?;
    only_for(
        "skip-email-verification",
        &["email"],
        raw.skip_email_verification,
    )?;
    match kind {
        "email" => {
            let issuer_claim = raw
                .issuer_claim
                .as_deref()
                .map(ClaimPath::parse)
                .transpose()
                .map_err(|reason| format!("issuer-claim {reason}"))?;
            Ok(Kind::Email(Email {
                issuer_claim,
                skip_verification: raw.skip_email_verification,
            }))
        }
        "uri" => {
            let text = raw
                .subject_domain
                .clone()
                .ok_or("subject-domain is missing (write `https://example.com`)")?;
            let domain = SubjectDomain::parse(&text).ok_or_else(|| {
                format!(
                    "subject-domain {text:?} must be a scheme and a host: `https://example.com`"
                )
            })?;
            let (scheme, host) = scheme_and_host(url)?;
            if domain.scheme() != scheme {
                return Err(format!(
                    "subject-domain must have the issuer's scheme, {scheme}"
                ));
            }
            same_organisation(&host, domain.host())?;
            Ok(Kind::Uri { domain, text })
        }
        "username" => {
            let domain = raw
                .subject_domain
                .clone()
                .ok_or("subject-domain is missing (write `example.com`)")?;
            if domain.contains("://") || domain.contains(['/', '!', '@']) {
                return Err(format!(
                    "subject-domain {domain:?} must be a bare domain: `example.com`"
                ));
            }
            same_organisation(&scheme_and_host(url)?.1, &domain)?;
            Ok(Kind::Username { domain })
        }
        "spiffe" if wildcard => {
            Err("SPIFFE issuers cannot be meta issuers: list each under `oidc-issuers`".to_owned())
        }
        "spiffe" => {
            let text = raw
                .spiffe_trust_domain
                .as_deref()
                .ok_or("spiffe-trust-domain is missing")?;
            TrustDomain::parse(text).map(Kind::Spiffe).ok_or_else(|| {
                format!("spiffe-trust-domain {text:?} is not a trust domain (write `td.example`)")
            })
        }
        "kubernetes" => Ok(Kind::Kubernetes),
        "chainguard-identity" => Ok(Kind::Chainguard),
        "ci-provider" => {
            let name = raw.ci_provider.as_deref().ok_or("ci-provider is missing")?;
            templates.get(name).map(|found| Kind::CiProvider(Arc::clone(found))).ok_or_else(|| {
                format!("ci-provider {name:?} is not in `ci-issuer-metadata`: add its templates there")
            })
        }
        "github-workflow" => workflow(System::GitHub),
        "gitlab-pipeline" => workflow(System::GitLab),
        "codefresh-workflow" => workflow(System::Codefresh),
        "buildkite-job" => workflow(System::Buildkite),
        other => Err(format!(
            "type {other:?} is not known: use email, uri, username, spiffe, kubernetes, chainguard-identity or ci-provider"
        )),
    }
}

fn workflow(system: System) -> Result<Kind, String> {
    Workflow::new(system)
        .map_err(|error| error.to_string())?
        .map(Kind::Workflow)
        .ok_or_else(|| "its templates are missing".to_owned())
}

fn scheme_and_host(url: &str) -> Result<(String, String), String> {
    let parsed = fetchable(&url.replace('*', "x")).map_err(|error| error.to_string())?;
    Ok((
        parsed.scheme().to_owned(),
        parsed.host_str().unwrap_or_default().to_owned(),
    ))
}

/// Subjects may be on the issuer's host, or on one under the same registrable domain, so that an
/// issuer cannot vouch for names of others.
fn same_organisation(issuer: &str, subject: &str) -> Result<(), String> {
    let registrable = |host: &str| {
        let labels: Vec<_> = host.split('.').rev().collect();
        // Second-level registries (`co.uk`): short label under a country code.
        let second_level = matches!(labels.as_slice(), [top, second, _, ..] if top.len() == 2 && second.len() <= 3);
        let take = if second_level { 3 } else { 2 };
        (labels.len() >= 2).then(|| {
            labels
                .into_iter()
                .take(take)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
    };
    let related = registrable(issuer)
        .zip(registrable(subject))
        .is_some_and(|(left, right)| left == right);
    if issuer == subject || related {
        Ok(())
    } else {
        Err(format!(
            "subject-domain {subject:?} is not under the domain of the issuer's host {issuer:?}"
        ))
    }
}
