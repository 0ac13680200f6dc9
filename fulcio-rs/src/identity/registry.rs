//! The configured issuers, checked: what cannot work or contradicts itself is refused at load.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ci_provider::Templates;
use super::discovery::fetchable;
use super::email::Email;
use super::file::{File, FileError, RawIssuer};
use super::pattern::Pattern;
use super::spiffe::TrustDomain;
use super::uri::SubjectDomain;
use super::{Claims, IdentityError, Principal, SyntaxError, TokenError};
use super::{chainguard, kubernetes, username};

/// Issuer whose presence means that this runs in a cluster and asks its API server.
const CLUSTER_ISSUER: &str = "https://kubernetes.default.svc";
/// The API server's certificate authority, as the deployment mounts it.
const CLUSTER_CA: &str = "/var/run/fulcio/ca.crt";
/// The pod's own token.
const CLUSTER_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Why the configured issuers were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The text is not a configuration file.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no issuer in it.
    #[error(
        "no issuer is configured, so nobody could get a certificate: add one under `oidc-issuers`"
    )]
    Empty,
    /// An issuer's entry.
    #[error("issuer {issuer}: {reason}")]
    Issuer {
        /// Its key.
        issuer: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A CI provider's templates.
    #[error("ci-issuer-metadata {provider}: {reason}")]
    Provider {
        /// Its key.
        provider: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

/// What an issuer's tokens stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerType(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Email(Email),
    Uri { domain: SubjectDomain, text: String },
    Username { domain: String },
    Spiffe(TrustDomain),
    Kubernetes,
    Chainguard,
    CiProvider(Arc<Templates>),
}

impl IssuerType {
    /// Its name in the configuration.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.0 {
            Kind::Email(_) => "email",
            Kind::Uri { .. } => "uri",
            Kind::Username { .. } => "username",
            Kind::Spiffe(_) => "spiffe",
            Kind::Kubernetes => "kubernetes",
            Kind::Chainguard => "chainguard-identity",
            Kind::CiProvider(_) => "ci-provider",
        }
    }
}

/// A configured issuer.
#[derive(Clone, Debug)]
pub struct Issuer {
    url: String,
    pattern: Option<Pattern>,
    client_id: String,
    kind: IssuerType,
    challenge_claim: &'static str,
    extra_roots: Option<String>,
    token_file: Option<PathBuf>,
}

impl Issuer {
    /// The issuer's URL, or its pattern.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether [`Self::url`] is a pattern.
    #[must_use]
    pub const fn is_wildcard(&self) -> bool {
        self.pattern.is_some()
    }

    /// The audience that tokens must have.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What its tokens stand for.
    #[must_use]
    pub const fn kind(&self) -> &IssuerType {
        &self.kind
    }

    /// The claim that clients are told to prove possession over: `email` or `sub`.
    #[must_use]
    pub const fn challenge_claim(&self) -> &'static str {
        self.challenge_claim
    }

    /// The `subject-domain`, or nothing.
    #[must_use]
    pub fn subject_domain(&self) -> &str {
        match &self.kind.0 {
            Kind::Uri { text, .. } => text,
            Kind::Username { domain } => domain,
            _ => "",
        }
    }

    /// The `spiffe-trust-domain`, or nothing.
    #[must_use]
    pub fn spiffe_trust_domain(&self) -> &str {
        match &self.kind.0 {
            Kind::Spiffe(domain) => domain.as_str(),
            _ => "",
        }
    }

    /// Whether addresses that the provider does not call verified are taken.
    #[must_use]
    pub const fn skips_email_verification(&self) -> bool {
        matches!(
            &self.kind.0,
            Kind::Email(Email {
                skip_verification: true,
                ..
            })
        )
    }

    /// PEM certificates trusted for this provider besides the system's.
    pub(crate) fn extra_roots(&self) -> Option<&str> {
        self.extra_roots.as_deref()
    }

    /// File with the bearer token that the provider wants.
    pub(crate) fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    /// Reads the identity from the claims of a token that `issuer` signed.
    pub(crate) fn principal(
        &self,
        issuer: &str,
        claims: &Claims,
    ) -> Result<Principal, IdentityError> {
        match &self.kind.0 {
            Kind::Email(email) => email.principal(issuer, claims),
            Kind::Uri { domain, .. } => domain.principal(issuer, claims),
            Kind::Username { domain } => username::principal(domain, issuer, claims),
            Kind::Spiffe(domain) => domain.principal(issuer, claims),
            Kind::Kubernetes => kubernetes::principal(issuer, claims),
            Kind::Chainguard => chainguard::principal(issuer, claims),
            Kind::CiProvider(templates) => templates.principal(issuer, claims),
        }
    }
}

/// The configured issuers.
#[derive(Clone, Debug)]
pub struct Registry {
    fixed: HashMap<String, Arc<Issuer>>,
    wildcards: Vec<Arc<Issuer>>,
    /// In the order of the file.
    order: Vec<Arc<Issuer>>,
}

impl Registry {
    /// Parses and checks a configuration file.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let file = File::parse(text)?;
        let mut templates = HashMap::new();
        for (provider, raw) in &file.providers {
            let refuse = |reason: String| RegistryError::Provider {
                provider: provider.clone(),
                reason,
            };
            let parsed = Templates::parse(raw)
                .map_err(|error: SyntaxError| refuse(error.to_string()))?
                .ok_or_else(|| refuse("subject-alternative-name-template is missing".to_owned()))?;
            templates.insert(provider.as_str(), Arc::new(parsed));
        }
        let in_cluster = file.issuers.iter().any(|(url, _)| url == CLUSTER_ISSUER);
        let mut registry = Self {
            fixed: HashMap::new(),
            wildcards: Vec::new(),
            order: Vec::new(),
        };
        for (url, raw) in &file.issuers {
            let refuse = |reason: String| RegistryError::Issuer {
                issuer: url.clone(),
                reason,
            };
            let mut issuer = check(url, raw, &templates, false).map_err(refuse)?;
            if in_cluster && issuer.kind.0 == Kind::Kubernetes {
                issuer.use_cluster().map_err(refuse)?;
            }
            let issuer = Arc::new(issuer);
            registry.fixed.insert(url.clone(), Arc::clone(&issuer));
            registry.order.push(issuer);
        }
        for (url, raw) in &file.meta_issuers {
            let refuse = |reason: String| RegistryError::Issuer {
                issuer: url.clone(),
                reason,
            };
            let issuer = Arc::new(check(url, raw, &templates, true).map_err(refuse)?);
            if let Some(other) = registry
                .wildcards
                .iter()
                .find(|other| overlap(other, &issuer))
            {
                return Err(refuse(format!(
                    "some URLs match {} as well, so which one applies would be chance: make the patterns disjoint",
                    other.url
                )));
            }
            registry.wildcards.push(Arc::clone(&issuer));
            registry.order.push(issuer);
        }
        if registry.order.is_empty() {
            return Err(RegistryError::Empty);
        }
        Ok(registry)
    }

    /// The issuer of a token: the exact one, else the one whose pattern matches.
    pub(crate) fn find(&self, url: &str) -> Option<&Arc<Issuer>> {
        self.fixed.get(url).or_else(|| {
            let matches = |issuer: &&Arc<Issuer>| {
                issuer
                    .pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.matches(url))
            };
            self.wildcards.iter().find(matches)
        })
    }

    /// All issuers, in the order of the file.
    pub fn issuers(&self) -> impl Iterator<Item = &Issuer> {
        self.order.iter().map(AsRef::as_ref)
    }
}

impl Issuer {
    fn use_cluster(&mut self) -> Result<(), String> {
        if self.extra_roots.is_none() {
            let pem = std::fs::read_to_string(CLUSTER_CA).map_err(|error| {
                format!("{CLUSTER_CA}: {error}; mount the cluster's CA there or set ca-cert")
            })?;
            self.extra_roots = Some(pem);
        }
        self.token_file = Some(PathBuf::from(CLUSTER_TOKEN));
        Ok(())
    }
}

fn overlap(left: &Issuer, right: &Issuer) -> bool {
    match (&left.pattern, &right.pattern) {
        (Some(left), Some(right)) => left.overlaps(right),
        _ => false,
    }
}

fn check(
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
                .transpose()?;
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
        "github-workflow" | "gitlab-pipeline" | "codefresh-workflow" | "buildkite-job" => {
            Err(format!(
                "type {kind} is not supported: use `type: ci-provider` with `ci-provider: {kind}` and its templates in `ci-issuer-metadata`"
            ))
        }
        other => Err(format!(
            "type {other:?} is not known: use email, uri, username, spiffe, kubernetes, chainguard-identity or ci-provider"
        )),
    }
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

/// Where in a token a value is: a JSONPath of member names, `$.federated_claims.connector_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimPath(Vec<String>);

impl ClaimPath {
    fn parse(text: &str) -> Result<Self, String> {
        let refused = || {
            format!("issuer-claim {text:?}: only paths like `$.a.b` or `$['a']['b']` are supported")
        };
        let mut rest = text.strip_prefix('$').ok_or_else(refused)?;
        let mut names = Vec::new();
        while !rest.is_empty() {
            let (name, next) = if let Some(quoted) = rest.strip_prefix("['") {
                quoted.split_once("']").ok_or_else(refused)?
            } else {
                let dotted = rest.strip_prefix('.').ok_or_else(refused)?;
                dotted.split_at(dotted.find(['.', '[']).unwrap_or(dotted.len()))
            };
            if name.is_empty() || name.contains(['*', '?', '\'', '@', '(']) {
                return Err(refused());
            }
            names.push(name.to_owned());
            rest = next;
        }
        if names.is_empty() {
            Err(refused())
        } else {
            Ok(Self(names))
        }
    }

    /// The string there; it must not be empty.
    pub(crate) fn text<'a>(&self, claims: &'a Claims) -> Result<&'a str, TokenError> {
        let mut names = self.0.iter();
        let mut value = names.next().and_then(|name| claims.get(name));
        for name in names {
            value = value.and_then(|value| value.get(name));
        }
        value
            .and_then(serde_json::Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| TokenError::Claim {
                name: "issuer-claim",
                reason: format!("is not a string at {}", self.0.join(".")),
            })
    }
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
